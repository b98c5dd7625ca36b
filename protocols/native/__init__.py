"""The contract, v1: topics, payloads, numbering, pictures."""

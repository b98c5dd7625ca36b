// The words of the ledger and of quarantine, as [Chinese, English].

export const words = {
  "ledger.zero": ["今日：缺失 0 条", "Today: 0 missing"], "ledger.some": ["今日：缺失 {0} 条", "Today: {0} missing"],
  "ledger.zero_how": ["设备编过号的每一条消息都已在网关保存（截至 {0}，共 {1} 条）。", "Every message that a device has numbered is held by the gateway (as of {0}, {1} in all)."],
  "ledger.some_how": ["设备已编号、网关尚未收到；网关会一直向设备索要（截至 {0}，已收 {1} 条）。", "Numbered by devices and not here yet; the gateway goes on asking for them (as of {0}, {1} held)."],
  "ledger.held": ["已收", "Held"], "ledger.missing": ["缺失", "Missing"], "ledger.duplicates": ["重复", "Duplicates"],
  "ledger.conflicts": ["冲突", "Conflicts"], "ledger.refused": ["拒收", "Refused"], "ledger.given_up": ["设备已丢失", "Lost by the device"],
  "ledger.duplicates_how": ["同一条再次送达，只记一次", "The same again: kept once"], "ledger.conflicts_how": ["同一编号、内容不同", "The same number, other content"],
  "ledger.refused_how": ["见隔离区", "See quarantine"], "ledger.given_up_how": ["设备称已不再持有", "The device says it no longer has them"],
  "ledger.with": ["只看", "Only those with"], "ledger.nothing": ["没有这样的设备", "No such device"],
  "ledger.all_well": ["没有设备缺失消息", "No device has missing messages"],

  "quarantine.how": ["网关读不懂或不能接受的内容，原样保存在这里。报警从不因此丢失。", "What the gateway could not read or accept is kept here as it came. No alarm is lost by it."],
  "quarantine.reason": ["原因", "Reason"], "quarantine.detail": ["说明", "Detail"], "quarantine.count": ["次数", "Times"],
  "quarantine.size": ["字节", "Bytes"], "quarantine.topic": ["主题", "Topic"], "quarantine.nothing": ["隔离区是空的", "Quarantine is empty"],
  "quarantine.first": ["首次", "First"], "quarantine.last": ["最近", "Last"], "quarantine.number": ["第 {0} 号", "Number {0}"],
  "quarantine.bytes": ["原始字节", "The bytes"], "quarantine.says": ["逐字段解读", "What they say"], "quarantine.whole": ["显示全部 {0} 字节", "Show all {0} bytes"],
  "quarantine.as_text": ["文本", "Text"], "quarantine.form": ["格式", "Form"], "quarantine.problems": ["问题", "What is wrong"],
  "quarantine.field": ["字段", "Field"], "quarantine.value": ["值", "Value"], "quarantine.meaning": ["含义", "Meaning"],
  "quarantine.ignored": ["不认识的字段（已忽略）", "Unknown keys (ignored)"], "quarantine.effect": ["网关的处理", "What the gateway does"],
  "quarantine.no_fields": ["读不出任何字段", "No field can be read"], "quarantine.id": ["消息编号", "Message id"],
  "quarantine.save": ["保存原始字节", "Save the bytes"], "quarantine.message": ["第 {0} 条消息", "Message {0}"],
  "verdict.accepted": ["接受", "accepted"], "verdict.salvaged": ["部分接受", "accepted in part"], "verdict.unreadable": ["不可读", "unreadable"], "verdict.refused": ["拒收", "refused"],
  "reason.malformed": ["格式错误", "malformed"], "reason.too_large": ["过大", "too large"], "reason.field_invalid": ["字段无效", "invalid field"],
  "reason.topic_invalid": ["主题无效", "invalid topic"], "reason.media_invalid": ["图像分块无效", "invalid picture chunk"], "reason.protocol_error": ["协议错误", "protocol error"],
  "reason.conflict": ["编号冲突", "conflicting number"], "reason.unregistered": ["未登记的设备", "device not registered"],
};

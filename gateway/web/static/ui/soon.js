// Of many changes at once, one reading.

/** `ask()` has `act` done once, `wait_ms` after the first asking; `end()` lets it be. */
export function soon(act, wait_ms) {
  let timer = null;
  return {
    ask() {
      timer ??= setTimeout(() => {
        timer = null;
        act();
      }, wait_ms);
    },
    end: () => clearTimeout(timer),
  };
}

// The words of playback, as [Chinese, English].

export const words = {
  "past.it_is": ["回放：这是过去的画面，不是现在", "Playback: this is the past, not now"],
  "past.to_now": ["回到现在", "Back to now"],
  "past.from": ["从", "From"], "past.to": ["到", "To"], "past.load": ["回放", "Play back"], "past.last_hour": ["最近一小时", "The last hour"],
  "past.time": ["回放时刻", "Time shown"], "past.speed": ["倍速", "Speed"], "past.play": ["播放", "Play"], "past.pause": ["暂停", "Pause"],
  "past.wrong_order": ["开始时间须早于结束时间", "“From” must lie before “to”"],
  "past.too_long": ["最多回放 24 小时", "At most 24 hours can be played"],
  "past.too_much": ["这段时间数据太多，请选短一些的时间", "There is too much in that time: choose a shorter one"],
  "past.coming": ["正在读取，已有 {0}", "Reading; {0} is here"],
  "past.whole": ["共 {0}，每步 {1} 秒", "{0} in steps of {1} s"],
  "past.cut": ["共 {0}，每步 {1} 秒；事件太多，只列出前 5,000 条", "{0} in steps of {1} s; of the events only the first 5,000"],
  "past.events": ["这段时间发生的事", "What happened then"], "past.nothing": ["到此刻还没有发生什么", "Nothing has happened up to here"],
  "past.alarm": ["报警", "Alarms"], "past.command": ["指令", "Orders"], "past.duty": ["勤务", "Duty"], "past.presence": ["上下线", "Presence"],
  "past.updated": ["报警有补充", "more on the alarm"], "past.arrival": ["到达现场", "at the scene"],
  "past.track": ["轨迹", "Track"],
  "past.key_play": ["播放 / 暂停", "Play or pause"], "past.key_back": ["后退一分钟", "One minute back"], "past.key_on": ["前进一分钟", "One minute on"],
  "past.key_slower": ["放慢", "Slower"], "past.key_faster": ["加快", "Faster"],
};

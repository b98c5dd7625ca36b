// The words of the pages of health, of the live feed and of the audit log, as [Chinese, English].

export const words = {
  "health.ready": ["可以接警", "Ready for alarms"], "health.not_ready": ["现在不能接警", "Not ready for alarms"],
  "health.well": ["一切正常", "All is well"], "health.wrong": ["必须马上处理", "Must be put right now"], "health.warnings": ["需要留意", "To be looked after"],
  "health.alarms": ["报警", "Alarms"], "health.open": ["未结报警", "Open alarms"], "health.fed": ["送达接处警系统（平均）", "To the dispatch core (mean)"],
  "health.commit": ["落盘（平均）", "To disk (mean)"], "health.commit_age": ["上次落盘距今", "Since the last commit"], "health.oldest": ["最久未处理", "Oldest under way"],
  "health.devices": ["设备", "Devices"], "health.brokers": ["消息代理", "Broker"], "health.priority": ["优先通道", "Priority lane"], "health.telemetry": ["遥测通道", "Telemetry lane"],
  "health.connected": ["已连接", "connected"], "health.cut": ["断开", "cut off"], "health.reconnects": ["重连 {0} 次", "{0} reconnections"],
  "health.disk": ["磁盘", "Disk"], "health.free": ["可用空间", "Free room"], "health.reserve": ["应急预留", "Reserve"], "health.reserved": ["完好", "there"], "health.released": ["已动用", "released"],
  "health.files": ["打开的文件", "Open files"], "health.feeds": ["推送", "Feeds"], "health.feed": ["接收方", "Receiver"], "health.lag": ["落后事件", "Events behind"],
  "health.behind": ["落后时间", "Behind for"], "health.failures": ["失败次数", "Failures"], "health.no_feeds": ["没有配置推送", "No webhook is configured"],
  "health.lost": ["消息", "Messages"], "health.missing": ["缺失", "Missing"], "health.given_up": ["设备已丢失", "Lost by devices"], "health.shed": ["过载时暂弃", "Shed under overload"], "health.refused": ["拒收", "Refused"],
  "health.errors": ["网关内部错误", "Faults of the gateway"], "health.damage": ["损坏处", "Damaged places"], "health.lag_loop": ["事件循环延迟（平均）", "Event loop lag (mean)"],
  "health.pictures": ["图像", "Pictures kept"], "health.viewers": ["正在观看直播", "Live viewers"], "health.waiting": ["等待送达的指令", "Commands waiting"], "health.as_of": ["截至 {0}", "As of {0}"],
  "health.version": ["指标原文", "All metrics"],

  "feed.how": ["事件发生时即显示，最新的在上。断线后从断点继续。", "Events as they happen, newest first. After a cut it goes on where it broke off."],
  "feed.pause": ["暂停", "Pause"], "feed.resume": ["继续", "Resume"], "feed.clear": ["清空", "Clear"], "feed.types": ["类型", "Types"],
  "feed.held_back": ["暂停中：{0} 条待显示", "Paused: {0} wait to be shown"], "feed.dropped": ["只保留最近 {0} 条，已略去 {1} 条", "The newest {0} are kept; {1} were left out"],
  "feed.nothing": ["等待新的事件…", "Waiting for events…"], "feed.type": ["类型", "Type"], "feed.what": ["内容", "What"], "feed.number": ["序号", "Number"],
  "type.alarm.raised": ["新报警", "Alarm raised"], "type.alarm.stage": ["报警进展", "Alarm stage"], "type.alarm.updated": ["报警补充", "Alarm updated"],
  "type.position": ["位置", "Position"], "type.duty": ["勤务", "Duty"], "type.status": ["状态", "Status"], "type.presence": ["在线情况", "Presence"],
  "type.media": ["图像", "Picture"], "type.command": ["指令", "Command"], "type.unit.changed": ["警组变化", "Unit changed"],
  "type.unit.contradiction": ["勤务矛盾", "Contradiction"], "type.unit.arrival": ["到场", "Arrival"], "type.media.custody": ["图像留存", "Custody of pictures"],

  "audit.how": ["谁在什么时间、从哪里、做了什么。记录只增不改。", "Who did what, when and from where. Written once, never changed."],
  "audit.who": ["何人", "Who"], "audit.role": ["角色", "Role"], "audit.source": ["来自", "From"], "audit.act": ["操作", "Act"], "audit.target": ["对象", "To what"],
  "audit.outcome": ["结果", "Outcome"], "audit.facts": ["内容", "Asked for"], "audit.done": ["已完成", "done"], "audit.begun": ["已开始", "begun"], "audit.nothing": ["没有符合条件的操作", "Nothing like that was done"],
  "audit.times": ["{0} 次", "{0} times"],
};

// The words of the page of alarms, as [Chinese, English].

export const words = {
  "alarms.all": ["全部", "All"], "alarms.kind": ["类别", "Kind"], "alarms.where": ["设备", "Device"],
  "alarms.stage": ["阶段", "Stage"], "alarms.by": ["经手人", "By"], "alarms.since": ["已过", "For"],
  "alarms.nothing": ["没有报警", "No alarms"], "alarms.open": ["未办结", "Open"],
  "alarms.timeline": ["经过", "Timeline"], "alarms.pressed": ["设备按下", "Pressed at the device"], "alarms.sent": ["设备内容", "What the device sent"],
  "alarms.id": ["报警编号", "Alarm id"], "alarms.count": ["按下次数", "Presses"], "alarms.flags": ["标记", "Flags"], "alarms.text": ["附言", "Text"],
  "alarms.acknowledge": ["确认", "Acknowledge"], "alarms.close": ["办结", "Close"], "alarms.pictures": ["{0} 张图像", "{0} pictures"],
};

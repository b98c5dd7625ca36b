// The words of the page of alarms, as [Chinese, English].

export const words = {
  "alarms.all": ["全部", "All"], "alarms.kind": ["类别", "Kind"], "alarms.where": ["设备", "Device"],
  "alarms.stage": ["阶段", "Stage"], "alarms.by": ["经手人", "By"], "alarms.since": ["已过", "For"],
  "alarms.nothing": ["没有报警", "No alarms"],
};

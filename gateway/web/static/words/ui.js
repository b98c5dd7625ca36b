// The words that pages with lists share, as [Chinese, English].

export const words = {
  "ui.again": ["重试", "Try again"], "ui.wrong": ["出错了", "Something is wrong"],
  "ui.none_here": ["这一段里没有，点“更多”继续向前查找", "None in this part; “More” looks further back"],
  "ui.when": ["时间", "When"], "ui.from": ["从", "From"], "ui.to": ["到", "To"], "ui.any": ["不限", "Any time"],
  "ui.hour": ["最近 1 小时", "Last hour"], "ui.today": ["今天", "Today"], "ui.day": ["最近 24 小时", "Last 24 hours"],
  "ui.week": ["最近 7 天", "Last 7 days"], "ui.month": ["最近 30 天", "Last 30 days"], "ui.own": ["自选", "From … to …"],
  "ui.all": ["全部", "All"], "ui.device": ["设备", "Device"], "ui.device_id": ["设备编号", "Device id"],
  "ui.time": ["时间", "Time"], "ui.search": ["查找", "Find"],
  "ui.csv": ["导出 CSV", "Save as CSV"], "ui.json": ["导出 JSON", "Save as JSON"],
  "ui.saved": ["已导出 {0} 条", "{0} saved"], "ui.saved_part": ["只导出了最近 {0} 条", "Only the newest {0} were saved"],
  "ui.on_map": ["在地图上查看", "Show on the map"], "ui.by": ["经手人", "By"], "ui.note": ["备注", "Note"],
  "ui.copy": ["复制", "Copy"], "ui.copied": ["已复制", "Copied"], "ui.yes": ["是", "yes"], "ui.no": ["否", "no"],
};

// The words on the map itself, as [Chinese, English].

export const words = {
  "chart.region": ["地图：加减号缩放，方向键移动，逗号句号逐个查看警力，回车选择", "Map: plus and minus zoom, arrows move, comma and full stop step through units, Enter selects"],
  "chart.layer.units": ["警力", "Units"],
  "chart.layer.boxes": ["报警箱", "Alarm boxes"],
  "chart.layer.labels": ["名称", "Labels"],
  "chart.layer.clusters": ["聚合", "Clusters"],
  "chart.layer.reach": ["1·3·5 分钟处警圈", "Reach: 1, 3, 5 min"],
  "chart.layer.cold": ["警力冰点", "Cold spots"],
  "chart.layer.grids": ["网格", "Grids"],
  "chart.alarm": ["报警", "Alarm"],
  "chart.alarms": ["报警 {0} 起", "{0} alarms"],
  "chart.state.0": ["在线", "online"],
  "chart.state.1": ["失联", "silent"],
  "chart.state.2": ["离线", "offline"],
  "chart.none": ["没有可显示的警力", "No unit is shown"],
};

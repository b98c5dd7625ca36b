// The words of the report on arrivals, as [Chinese, English].

export const words = {
  "arrivals.how": ["从下达第一个出警指令，到第一组到场：定位进入 100 米，或按下“到场”键。", "From the first order to the first unit there: by its position within 100 m, or by its crew's key."],
  "arrivals.grid": ["网格", "Grid"], "arrivals.no_grid": ["不在任何网格", "in no grid"], "arrivals.shift": ["班次", "Shift"],
  "arrivals.incidents": ["警情", "Incidents"], "arrivals.arrived": ["已到场", "Arrived at"], "arrivals.mean": ["平均用时", "Mean"], "arrivals.median": ["中位用时", "Median"],
  "arrivals.in_5": ["5 分钟内", "Within 5 min"], "arrivals.in_10": ["10 分钟内", "Within 10 min"],
  "arrivals.of": ["已到场 {1} 起中的 {0} 起", "{0} of {1} that were reached"],
  "arrivals.by_grid": ["按网格", "By grid"], "arrivals.by_shift": ["按班次", "By shift"], "arrivals.all": ["逐起警情", "Each incident"],
  "arrivals.plot": ["到场用时分布（分钟）", "Minutes to arrive"], "arrivals.plot_said": ["{0} 分钟：{1} 起", "{0} min: {1}"], "arrivals.more_than": ["≥{0}", "≥{0}"],
  "arrivals.incident": ["警情编号", "Incident"], "arrivals.dispatched": ["下达", "Ordered"], "arrivals.came": ["到场", "Arrived"], "arrivals.unit": ["最先到场", "First there"],
  "arrivals.took": ["用时", "Took"], "arrivals.doubts": ["存疑", "Doubts"], "arrivals.nothing": ["这段时间没有出警", "No incident in this time"], "arrivals.not_yet": ["未到场", "not there"],
  "arrivals.evidence": ["依据", "Shown by"], "source.position": ["定位", "position"], "source.key": ["一键上报", "key"], "source.command": ["指令", "command"],
  "arrivals.steps": ["各组过程", "Every unit"], "arrivals.en_route": ["出警", "En route"], "arrivals.near": ["定位到场", "Near"], "arrivals.on_scene": ["按键到场", "Key on scene"],
  "doubt.no_order": ["无指令", "no order"], "doubt.no_en_route_key": ["未按出警键", "no en-route key"], "doubt.no_on_scene_key": ["未按到场键", "no on-scene key"],
  "doubt.key_only": ["仅凭按键", "by key alone"], "doubt.key_before_near": ["按键早于定位到场", "key before position"], "doubt.clock_unset": ["时钟未校准", "clock unset"],
  "doubt.clock_set_right": ["时钟已修正", "clock corrected"], "doubt.accuracy_unknown": ["定位精度不详", "accuracy unknown"], "doubt.before_order": ["早于指令", "before the order"],
};

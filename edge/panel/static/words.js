// What the page says, in Chinese and English.

const ZH = {
  on_duty: "上岗", off_duty: "离岗", vehicle_patrol: "车巡", foot_patrol: "步巡", parked: "停靠",
  en_route: "出发", on_scene: "到场", clear: "处置完毕", break: "休息",
  no_duty: "未上岗", since: "{0} 起", queued: "{0} 待发",
  sos: "SOS", sos_how: "按住 1 秒报警", sos_again: "按住 1 秒再次报警", sos_more: "继续按住…",
  sos_short: "未报警：需按住 1 秒", sos_slid: "已取消：手指移开", sos_many: "已取消：请用一根手指",
  sos_sending: "正在报警…", sos_done: "已报警 {0}", sos_count: "共按 {0} 次",
  sos_lost: "报警未发出！", sos_trying: "本机程序无响应，正在重试（剩 {0} 秒）",
  sos_failed: "本机程序无响应，已停止重试", sos_refused: "本机程序拒绝：{0}",
  sos_radio: "请立即用电台或手机呼叫！", dismiss: "知道了",
  spooled: "本机已存", sent: "已发出", stored: "平台已收", accepted: "已受理",
  acknowledged: "已确认", closed: "已结束",
  panic: "SOS 报警", duress: "胁迫报警", hold_up: "抢劫报警", fire: "火灾报警", medical: "急救报警",
  tamper: "防拆报警", man_down: "倒地报警", test: "测试报警",
  net: "网络", net_on: "已连接", net_off: "无网络", gateway: "平台", gateway_on: "正常",
  gateway_off: "未连接", gateway_late: "无应答", gnss: "定位", camera: "摄像", battery: "电源",
  gnss_ok: "正常", gnss_no_fix: "无定位", gnss_no_device: "无设备", gnss_none: "未配置",
  cam_ok: "正常", cam_covered: "被遮挡", cam_dark: "过暗", cam_blurred: "模糊", cam_lost: "已断开",
  cam_frozen: "画面冻结", cam_moved: "画面移位", cam_none: "未配置", mains: "外接", unknown: "不详",
  offline: "无网络", offline_how: "上报先存本机，恢复后自动发送", offline_none: "暂无待发上报",
  offline_queue: "待发上报 {0} 条", late: "平台无应答",
  identify: "平台正在呼叫本机", identify_how: "请确认这就是被呼叫的设备",
  ring_back: "指挥中心已收到您的报警", ring_back_how: "请注意安全，保持联络", disk: "本机存储故障",
  gone: "本机程序无响应", gone_how: "按键无效。请用电台或手机联系指挥中心。",
  gone_wait: "正在重新连接…（已 {0} 秒）", starting: "正在连接本机程序…",
  complaint: "按键未成功", failed: "本机程序拒绝：{0}", not_kept: "“{0}”未上报：本机程序无响应",
  instruction: "指令", checklist: "清单", messages: "消息", reports: "上报",
  accept: "接受", refuse: "拒绝", accepted_at: "{0} 已接受", to_answer: "{0} 下达 · 待答复",
  one_of: "{0} / {1} ▸", no_address: "未提供地址", caller: "报警人", no_caller: "无号码", answer: "答复",
  refuse_ask: "拒绝原因", reason_busy: "正在处置其他警情", reason_far: "距离过远",
  reason_car: "车辆故障", reason_other: "其他原因",
  no_way: "本车无定位", old_fix: "{0} 秒前定位", north_up: "上为北", head_up: "上为车头方向",
  m: "米", km: "公里", point_0: "北", point_1: "东北", point_2: "东", point_3: "东南",
  point_4: "南", point_5: "西南", point_6: "西", point_7: "西北",
  steps_done: "{0} / {1}", unread: "未读", delivered: "已送达",
  theft: "盗窃", robbery: "抢劫", brawl: "打架斗殴", traffic_accident: "交通事故",
  missing_child: "儿童走失", knife: "持刀警情", chemical_spill: "危化品泄漏",
  drunk_driving: "涉嫌酒驾",
  no_instruction: "暂无指令", no_instruction_how: "指挥中心下达后显示在这里",
  no_checklist: "暂无处置清单", no_messages: "暂无消息", no_reports: "暂无上报",
  other_language: "EN", theme: "亮度",
  signon: "上岗登记", officers: "警号", body_camera: "执法记录仪", phone: "警务手机",
  add: "添加", confirm_on_duty: "确认上岗", cancel: "取消",
  optional: "可不填",
  off_duty_ask: "确认离岗？", off_duty_how: "离岗后本车不再接收指令。", confirm_off_duty: "确认离岗",
  crew: "警组", not_signed_on: "未登记",
};

const EN = {
  on_duty: "On duty", off_duty: "Off duty", vehicle_patrol: "Car patrol",
  foot_patrol: "Foot patrol", parked: "Parked", en_route: "En route", on_scene: "On scene",
  clear: "Clear", break: "Break",
  no_duty: "Not on duty", since: "since {0}", queued: "{0} queued",
  sos: "SOS", sos_how: "Hold for 1 second", sos_again: "Hold for 1 second to call again",
  sos_more: "Keep holding…", sos_short: "No alarm: hold for 1 second",
  sos_slid: "Cancelled: finger moved off", sos_many: "Cancelled: use one finger",
  sos_sending: "Raising alarm…", sos_done: "Alarm raised {0}", sos_count: "pressed {0} times",
  sos_lost: "ALARM NOT SENT!", sos_trying: "The agent does not answer; trying again ({0} s left)",
  sos_failed: "The agent does not answer; no longer trying", sos_refused: "Refused: {0}",
  sos_radio: "Call by radio or phone NOW!", dismiss: "Understood",
  spooled: "Saved", sent: "Sent", stored: "Received", accepted: "Accepted",
  acknowledged: "Confirmed", closed: "Closed",
  panic: "SOS alarm", duress: "Duress alarm", hold_up: "Hold-up alarm", fire: "Fire alarm",
  medical: "Medical alarm", tamper: "Tamper alarm", man_down: "Man-down alarm",
  test: "Test alarm",
  net: "Network", net_on: "Online", net_off: "Offline", gateway: "Gateway", gateway_on: "OK",
  gateway_off: "No link", gateway_late: "Silent", gnss: "Position", camera: "Camera",
  battery: "Power", gnss_ok: "OK", gnss_no_fix: "No fix", gnss_no_device: "No device",
  gnss_none: "None", cam_ok: "OK", cam_covered: "Covered", cam_dark: "Dark",
  cam_blurred: "Blurred", cam_lost: "Lost", cam_frozen: "Frozen", cam_moved: "Moved",
  cam_none: "None", mains: "Mains", unknown: "Unknown",
  offline: "No network", offline_how: "Reports are kept here and go out when it is back",
  offline_none: "Nothing waits", offline_queue: "{0} reports queued", late: "Gateway is silent",
  identify: "This device is called", identify_how: "The dispatcher asks which device this is",
  ring_back: "Your alarm has been received", ring_back_how: "Stay safe, keep in touch",
  disk: "Storage fault",
  gone: "Agent not responding", gone_how: "Keys do nothing. Use the radio or a phone.",
  gone_wait: "Trying to connect… ({0} s so far)", starting: "Connecting to the agent…",
  complaint: "Key not taken", failed: "Refused: {0}", not_kept: "“{0}” was not reported: the agent does not answer",
  instruction: "Order", checklist: "Checklist", messages: "Messages", reports: "Reports",
  accept: "Accept", refuse: "Refuse", accepted_at: "accepted {0}", to_answer: "{0} · to answer",
  one_of: "{0} / {1} ▸", no_address: "No address given", caller: "Caller", no_caller: "No number", answer: "Answer",
  refuse_ask: "Why refuse?", reason_busy: "At another incident", reason_far: "Too far away",
  reason_car: "Vehicle fault", reason_other: "Other reason",
  no_way: "No own position", old_fix: "fix {0} s old", north_up: "north is up",
  head_up: "ahead is up", m: "m", km: "km", point_0: "N", point_1: "NE",
  point_2: "E", point_3: "SE", point_4: "S", point_5: "SW",
  point_6: "W", point_7: "NW",
  steps_done: "{0} / {1}", unread: "New", delivered: "Delivered",
  theft: "Theft", robbery: "Robbery", brawl: "Brawl", traffic_accident: "Traffic accident",
  missing_child: "Missing child", knife: "Person with a knife", chemical_spill: "Chemical spill",
  drunk_driving: "Suspected drunk driving",
  no_instruction: "No order", no_instruction_how: "The dispatcher's orders appear here",
  no_checklist: "No checklist", no_messages: "No messages", no_reports: "No reports yet",
  other_language: "中文", theme: "Light",
  signon: "Sign on", officers: "Officers", body_camera: "Body camera", phone: "Phone",
  add: "Add", confirm_on_duty: "Go on duty", cancel: "Cancel", optional: "optional",
  off_duty_ask: "Go off duty?", off_duty_how: "This car gets no more orders then.",
  confirm_off_duty: "Go off duty", crew: "Crew", not_signed_on: "not signed on",
};

const LANGUAGES = { zh: ZH, en: EN };
let language = "zh";

export function setLanguage(name) {
  language = name in LANGUAGES ? name : "zh";
  document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
}

export const getLanguage = () => language;

// The word of that name, its {0} {1} … filled in. One that is not known is shown as it is.
export function say(name, ...values) {
  const text = LANGUAGES[language][name] ?? name;
  return values.reduce((said, value, n) => said.replace(`{${n}}`, value), text);
}

// Text that comes in both languages, as {zh, en}.
export const pick = (words) => words[language];

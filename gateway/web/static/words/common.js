// The words of the shell, and those of the field, as [Chinese, English].

export const words = {
  brand: ["Fieldgate 指挥一张图", "Fieldgate command map"],
  unknown: ["不详", "unknown"], none: ["无", "none"], close_dialog: ["关闭", "Close"],
  cancel: ["取消", "Cancel"], ok: ["确定", "OK"], more: ["更多", "More"], loading: ["正在读取…", "Loading…"],
  s: ["{0} 秒", "{0} s"], min_s: ["{0} 分 {1} 秒", "{0} min {1} s"], h_min: ["{0} 时 {1} 分", "{0} h {1} min"],
  d: ["{0} 天", "{0} d"], m: ["{0} 米", "{0} m"], km: ["{0} 公里", "{0} km"], ago: ["{0}前", "{0} ago"],

  "page.map": ["指挥图", "Map"], "page.alarms": ["报警", "Alarms"], "page.playback": ["回放", "Playback"], "page.wall": ["大屏", "Wall"],
  "page.devices": ["设备", "Devices"], "page.pictures": ["图像", "Pictures"], "page.orders": ["指令", "Commands"],
  "page.arrivals": ["到场统计", "Arrivals"], "page.ledger": ["账本", "Ledger"], "page.quarantine": ["隔离区", "Quarantine"],
  "page.feed": ["实时消息", "Live feed"], "page.health": ["运行状况", "Health"], "page.audit": ["操作记录", "Audit log"],
  menu: ["菜单", "Menu"], pages: ["页面", "Pages"],

  sign_in: ["登录", "Sign in"], sign_out: ["退出", "Sign out"], token: ["访问令牌", "Access token"],
  token_how: ["令牌由管理员发放，形如 fgt_…", "Your administrator gives you one; it begins with fgt_"],
  sign_in_wrong: ["令牌无效，或已被吊销", "The token is unknown or revoked"],
  sign_in_over: ["登录已失效，请重新登录", "You have been signed out; sign in again"],
  signed_in: ["{0}（{1}）", "{0} ({1})"], nobody: ["未命名", "no name"],
  not_for_role: ["“{0}”只对“{1}”角色开放，你登录的角色是“{2}”。需要时请管理员另发令牌。",
    "“{0}” is for the role “{1}”; you are signed in as “{2}”. An administrator can give you another token."],
  "role.viewer": ["查看", "viewer"], "role.dispatcher": ["指挥调度", "dispatcher"], "role.admin": ["管理", "administrator"],

  "link.live": ["实时", "Live"], "link.connecting": ["连接中", "Connecting"], "link.cut": ["已断开", "Cut off"],
  cut: ["与网关断开", "No connection to the gateway"],
  cut_how: ["画面停在断开前。正在自动重连，恢复后自动补齐，无需刷新。",
    "The page shows what was known before. It reconnects by itself and catches up; no reload is needed."],
  back: ["已恢复连接，断开 {0}，已补齐。", "Connected again after {0}; caught up."],
  retry: ["立即重连", "Try now"],
  no_answer: ["网关无应答", "The gateway does not answer"],
  failed: ["未成功：{0}", "It failed: {0}"],

  theme: ["切换浅色 / 深色", "Dark or light"], language: ["English", "中文"],
  shortcuts: ["键盘快捷键", "Keyboard shortcuts"], shortcuts_on: ["启用单键快捷键", "Single-key shortcuts are on"],
  sound_on: ["声音已开", "Sound is on"], sound_off: ["静音中", "Muted"], sound: ["报警声开关", "Alarm sound"],
  sound_blocked: ["点击任意处开启报警声", "Click anywhere for sound"],
  sound_blocked_how: ["浏览器要先有一次点击或按键，才允许网页发声", "Browsers let a page sound only after a click or a key"],

  "key.accept": ["接受当前报警", "Accept the alarm in turn"], "key.next": ["先看下一起报警", "Show the next alarm first"],
  "key.shortcuts": ["显示本列表", "Show this list"], "key.mute": ["静音 / 恢复声音", "Mute or unmute"],
  "key.theme": ["浅色 / 深色", "Dark or light"], "key.language": ["中文 / 英文", "Chinese or English"],
  "key.escape": ["关闭卡片或对话框", "Close a card or dialog"], "key.page": ["打开“{0}”页", "Open the page “{0}”"],

  alarm: ["报警", "Alarm"], accept: ["接警", "Accept"], accept_this: ["接受这起报警", "Accept this alarm"],
  waiting_more: ["还有 {0} 起等待接警", "{0} more wait"], waiting: ["待接警", "Waiting"], waiting_n: ["{0} 起待接警", "{0} waiting"],
  in_hand: ["处置中", "In hand"], no_alarms: ["目前没有未办结的报警", "No open alarms"],
  not_accepted: ["接警未成功，报警仍在等待：{0}", "Not accepted, the alarm still waits: {0}"],
  pass_over: ["下一起", "Next"],
  pressed: ["按了 {0} 次", "pressed {0} times"], raised: ["报警时间", "Raised"],

  "kind.panic": ["紧急求助", "Panic"], "kind.duress": ["胁迫报警", "Duress"], "kind.hold_up": ["抢劫", "Hold-up"],
  "kind.fire": ["火灾", "Fire"], "kind.medical": ["急救", "Medical"], "kind.tamper": ["防拆报警", "Tamper"],
  "kind.man_down": ["人员倒地", "Man down"], "kind.test": ["自检", "Self-test"], "kind.unreadable": ["报警内容不可读", "Unreadable alarm"],
  "stage.stored": ["待接警", "Waiting"], "stage.accepted": ["已接警", "Accepted"],
  "stage.acknowledged": ["已确认", "Acknowledged"], "stage.closed": ["已办结", "Closed"],

  "device.vehicle_terminal": ["车载终端", "Car terminal"], "device.body_camera": ["执法记录仪", "Body camera"],
  "device.alarm_box": ["一键报警器", "Alarm box"], "device.phone": ["警务手机", "Phone"],
  "presence.online": ["在线", "Online"], "presence.stale": ["失联", "Silent"], "presence.offline": ["离线", "Offline"],

  "duty.on_duty": ["在岗", "On duty"], "duty.vehicle_patrol": ["车巡", "Car patrol"], "duty.foot_patrol": ["步巡", "Foot patrol"],
  "duty.parked": ["停靠", "Parked"], "duty.en_route": ["出警途中", "En route"], "duty.on_scene": ["已到场", "On scene"],
  "duty.clear": ["处置完毕", "Clear"], "duty.break": ["休息", "Break"], "duty.off": ["离岗", "Off duty"],
};

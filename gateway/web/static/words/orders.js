// The words of the pages of commands and of pictures, as [Chinese, English].

export const words = {
  "orders.act": ["指令", "Command"], "orders.state": ["状态", "State"], "orders.by": ["下达人", "By"], "orders.expires": ["有效至", "Valid until"],
  "orders.open": ["进行中", "Under way"], "orders.nothing": ["没有符合条件的指令", "No command is like that"], "orders.args": ["内容", "What was ordered"],
  "orders.timeline": ["经过", "Timeline"], "orders.id": ["指令编号", "Command id"], "orders.group": ["同批指令", "Ordered together"], "orders.call_back": ["撤回", "Call back"],

  "pictures.reason": ["原因", "Why"], "pictures.nothing": ["没有符合条件的图像", "No picture is like that"], "pictures.taken": ["拍摄", "Taken"], "pictures.sent": ["发出", "Sent"],
  "pictures.received": ["收齐", "Complete here"], "pictures.age": ["收齐时已过", "Age when complete"], "pictures.asked": ["何人调取", "Who asked"], "pictures.nobody": ["无人调取", "nobody asked"],
  "pictures.complete": ["完整性", "Complete"], "pictures.whole": ["完整", "whole"], "pictures.part": ["{0} / {1} 块", "{0} of {1} chunks"], "pictures.sha": ["SHA-256", "SHA-256"],
  "pictures.size": ["大小", "Size"], "pictures.kind": ["格式", "Format"], "pictures.deleted": ["已删除：{0}（{1}）", "Deleted by {0}: {1}"], "pictures.damaged": ["文件已损坏", "damaged on disk"],
  "pictures.held": ["留存中", "Held"], "pictures.hold": ["留存（不许删除）", "Hold it (delete nothing)"], "pictures.release": ["解除留存", "Release it"],
  "pictures.hold_why": ["事由（案号等）", "Why (case number …)"], "pictures.no_image": ["无缩略图", "no thumbnail"], "pictures.original": ["打开原图", "Open the original"],
  "pictures.title": ["图像 {0}", "Picture {0}"], "pictures.more": ["更多", "More"], "pictures.sendings": ["由设备上送", "Sent by"],
};

// The words of the API's page.

export const words = {
  "docs.title": ["接口文档", "The API"],
  "docs.find": ["查找路径或说明", "Find a path or a word"],
  "docs.nothing": ["没有匹配的接口", "Nothing has that in it"],
  "docs.parameters": ["参数", "Parameters"],
  "docs.body": ["请求体", "Body"],
  "docs.answers": ["应答", "Answers"],
  "docs.example": ["示例", "Example"],
  "docs.name": ["名称", "name"],
  "docs.where": ["位置", "in"],
  "docs.type": ["类型", "type"],
  "docs.meaning": ["含义", "meaning"],
  "docs.needed": ["必填", "needed"],
  "docs.default": ["默认 {0}", "default {0}"],
  "docs.open": ["无需令牌", "no token needed"],
  "docs.role": ["角色：{0} 及以上", "role: {0} or above"],
  "docs.failed": ["无法读取 /openapi.json", "/openapi.json cannot be read"],
  "docs.raw": ["机器可读的描述", "for machines"],
  "docs.page": ["返回指挥页面", "to the map"],
};

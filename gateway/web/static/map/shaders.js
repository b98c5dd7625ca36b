// How one mark looks: its place, size and heading; its shape, fill, sign and rings.

export const VERTEX = `#version 300 es
precision highp float;
in vec2 corner;
in vec4 place;    // mercator: high parts, low parts
in vec2 motion;   // heading (radians, below 0: none), when it was taken (s)
in vec4 look;     // shape, duty, marks, whether it is hidden
uniform mat4 matrix;
uniform vec4 centre;
uniform vec2 pixel, clock;
uniform ivec2 chosen;
uniform bool isAbove;  // of two turns the second, over all others: alarms and what is chosen
uniform float bearing, scale;
out vec2 at;      // px from the middle
flat out vec4 kind;
flat out float fresh, turn, ring;
void main() {
  int marks = int(look.z);
  bool isChosen = gl_InstanceID == chosen.x || gl_InstanceID == chosen.y;
  bool isAlarm = (marks & 4) != 0;
  if ((look.w > 0.5 && !isChosen) || (isAlarm || isChosen) != isAbove) { gl_Position = vec4(2.0, 2.0, 2.0, 1.0); return; }
  float size = 20.0 * scale * (isAlarm || isChosen ? 1.35 : 1.0);
  vec2 from = (place.xy - centre.xy) + (place.zw - centre.zw);
  gl_Position = matrix * vec4(from, 0.0, 1.0);
  gl_Position.xy += corner * size * pixel * gl_Position.w;
  at = corner * 20.0;
  kind = vec4(look.x, look.y, float(marks), isChosen ? 1.0 : 0.0);
  fresh = (marks & 32) != 0 ? 1.0 : 1.0 - clamp((clock.x - motion.y) / clock.y, 0.0, 1.0);
  turn = motion.x < 0.0 ? -1.0 : motion.x;
  ring = bearing;
}`;

export const FRAGMENT = `#version 300 es
precision highp float;
in vec2 at;
flat in vec4 kind;
flat in float fresh, turn, ring;
uniform vec3 colours[10];
uniform vec3 alarm, fault, edge;
uniform bool isCameras; // cameras are shown
out vec4 colour;
float box(vec2 p, vec2 b) { vec2 d = abs(p) - b; return length(max(d, 0.0)) + min(max(d.x, d.y), 0.0); }
float over(float d) { return 1.0 - smoothstep(-0.8, 0.8, d); }
vec4 lay(vec4 below, vec3 rgb, float a) { return vec4(rgb * a, a) + below * (1.0 - a); }
void main() {
  int shape = int(kind.x), duty = int(kind.y), marks = int(kind.z), state = marks & 3;
  vec2 p = at;
  float body;
  if (shape == 2) body = box(p, vec2(6.5));                                  // a box: square
  else if (shape == 3) body = max(abs(p.x) * 0.87 - p.y * 0.5 - 4.6, p.y - 5.5); // a phone: triangle
  else if (shape == 4) body = (abs(p.x) + abs(p.y)) * 0.707 - 6.5;           // another: diamond
  else body = length(p) - (shape == 1 ? 5.6 : 7.0);                          // car and officer: round
  float nose = 1e3;
  if (turn >= 0.0 && (shape == 0 || shape == 1)) {
    float a = turn - ring;
    vec2 q = vec2(p.x * cos(a) - p.y * sin(a), p.x * sin(a) + p.y * cos(a));
    nose = max(abs(q.x) * 0.8 + q.y * 0.6 - 8.4, 3.0 - q.y);                 // points where it goes
  }
  float whole = min(body, nose);
  vec3 fill = colours[duty];
  bool isHollow = state != 0, isAlarm = (marks & 4) != 0, isFault = (marks & 128) != 0, isBox = shape == 2;
  if (isBox && isAlarm) fill = alarm;                                        // a box: by its state
  else if (isBox && isFault) fill = fault;
  float strength = isHollow ? 0.75 : mix(0.55, 1.0, fresh);
  vec4 c = vec4(0.0);
  if (isAlarm) {                                                             // an alarm: a ring about it
    c = lay(c, alarm, 0.28 * over(length(p) - 17.0));
    c = lay(c, alarm, over(abs(length(p) - 15.5) - ((marks & 8) != 0 ? 2.0 : 1.0)));
  }
  if (kind.w > 0.5) c = lay(c, vec3(1.0) - edge, over(abs(length(p) - 12.5) - 1.2));
  if ((marks & 16) != 0) {                                                   // contradicted: a broken ring
    float broken = step(0.0, sin(atan(p.y, p.x) * 6.0));
    c = lay(c, vec3(0.94, 0.89, 0.26), broken * over(abs(length(p) - 10.5) - 1.0));
  }
  c = lay(c, edge, over(whole - 1.6) * strength);
  c = lay(c, fill, over(whole) * strength);
  if (isHollow) c = lay(c, edge, over(body + (state == 2 ? 1.6 : 2.8)));
  else {
    float sign = 1e3;
    if (isBox && isFault && !isAlarm) sign = min(box(p - vec2(0.0, 1.6), vec2(1.1, 2.8)), length(p + vec2(0.0, 4.0)) - 1.4);
    else if (isBox) sign = length(p) - 2.2;                                  // its button
    else if (duty == 3) sign = length(vec2(p.x, abs(p.y) - 2.3)) - 1.3;           // on foot: two dots, as steps
    else if (duty == 5) sign = length(p) - 2.4;                                   // en route: a dot
    else if (duty == 6) sign = min(box(p, vec2(3.6, 1.1)), box(p, vec2(1.1, 3.6))); // on scene: a cross
    else if (duty == 8) sign = min(box(p - vec2(2.0, 0.0), vec2(0.9, 3.2)), box(p + vec2(2.0, 0.0), vec2(0.9, 3.2)));
    else if (duty == 4) sign = box(p, vec2(2.6));                            // parked: a small square
    else if (duty == 7) sign = abs(length(p) - 2.7) - 0.9;                   // clear: a small ring
    else if (duty == 9) sign = box(p, vec2(3.6, 1.0));                       // off: a bar
    c = lay(c, edge, over(sign));
    if (shape == 1) c = lay(c, edge, over(abs(length(p) - 4.5) - 0.4));      // a body camera: its lens
  }
  if (state == 2) c = lay(c, fill, over(box(vec2(p.x + p.y, p.x - p.y) * 0.707, vec2(7.0, 0.8))) * strength);
  if (isFault && !isBox) {                                                   // broken: a small warning
    vec2 q = p - vec2(8.5, 7.0);
    float sheet = max(abs(q.x) * 0.87 + q.y * 0.5 - 2.6, -q.y - 3.2);
    c = lay(lay(c, edge, over(sheet - 1.4)), fault, over(sheet));
    c = lay(c, vec3(0.0), over(box(q - vec2(0.0, 0.2), vec2(0.5, 1.6))));
  }
  if (isCameras && (marks & 64) != 0 && state == 0) {                        // a camera that sees
    vec2 q = p - vec2(8.5, -7.5);
    float house = min(box(q, vec2(4.2, 2.8)), box(q - vec2(0.0, 3.0), vec2(1.6, 1.0)));
    c = lay(lay(c, edge, over(house - 1.3)), vec3(1.0), over(house));
    c = lay(c, vec3(0.05, 0.08, 0.12), over(length(q) - 1.7));
  }
  colour = c;
}`;

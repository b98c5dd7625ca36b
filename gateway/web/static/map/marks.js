// The marks: every unit and box, drawn in two calls from the fleet's arrays. A MapLibre custom layer.

import { FRAGMENT, VERTEX } from "./shaders.js";
import { BYTES, FLOATS, mercatorX, mercatorY } from "./fleet.js";

/** By duty: hues that colour-blind eyes tell apart (Okabe and Ito); what they say a sign says too. */
export const COLOURS = {
  "": "#8fa3b5", on_duty: "#56b4e9", vehicle_patrol: "#0072b2", foot_patrol: "#009e73", parked: "#66c2a5",
  en_route: "#e69f00", on_scene: "#cc79a7", clear: "#56b4e9", break: "#b8b08d", off: "#6b7785",
};
export const ALARM_COLOUR = "#d7191c", FAULT_COLOUR = "#f0e442";
const CAMERAS_ZOOM = 13.5; // farther away they would be dust

const rgb = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16) / 255);

export class Marks {
  constructor(fleet, { staleAfterS }) {
    this.id = "marks";
    this.type = "custom";
    this.renderingMode = "2d";
    this._fleet = fleet;
    this._staleAfterS = staleAfterS;
    this._isNew = true;
    this._size = 0;
    this.selected = -1;
    this.hovered = -1;
    this.isLight = false;
    this.isCameras = true;
  }

  /** The fleet has changed: it is brought to the graphics card with the next picture. */
  changed() {
    this._isNew = true;
  }

  onAdd(map, gl) {
    this._map = map;
    const program = (this._program = gl.createProgram());
    for (const [kind, source] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
      const shader = gl.createShader(kind);
      gl.shaderSource(shader, source);
      gl.compileShader(shader);
      gl.attachShader(program, shader);
      if (!gl.getShaderParameter(shader, gl.COMPILE_STATUS)) throw new Error(gl.getShaderInfoLog(shader));
    }
    gl.linkProgram(program);
    if (!gl.getProgramParameter(program, gl.LINK_STATUS)) throw new Error(gl.getProgramInfoLog(program));
    this._at = Object.fromEntries(["matrix", "centre", "pixel", "clock", "chosen", "bearing", "scale", "edge", "isAbove", "isCameras"]
      .map((name) => [name, gl.getUniformLocation(program, name)]));
    gl.useProgram(program);
    gl.uniform3fv(gl.getUniformLocation(program, "colours"), Object.values(COLOURS).flatMap(rgb));
    gl.uniform3fv(gl.getUniformLocation(program, "alarm"), rgb(ALARM_COLOUR));
    gl.uniform3fv(gl.getUniformLocation(program, "fault"), rgb(FAULT_COLOUR));
    this._array = gl.createVertexArray();
    gl.bindVertexArray(this._array);
    this._corners = gl.createBuffer();
    gl.bindBuffer(gl.ARRAY_BUFFER, this._corners);
    gl.bufferData(gl.ARRAY_BUFFER, new Float32Array([-1, -1, 1, -1, -1, 1, 1, 1]), gl.STATIC_DRAW);
    this._attribute(gl, "corner", 2, gl.FLOAT, 8, 0, 0);
    this._floats = gl.createBuffer();
    gl.bindBuffer(gl.ARRAY_BUFFER, this._floats);
    this._attribute(gl, "place", 4, gl.FLOAT, 4 * FLOATS, 0, 1);
    this._attribute(gl, "motion", 2, gl.FLOAT, 4 * FLOATS, 16, 1);
    this._bytes = gl.createBuffer();
    gl.bindBuffer(gl.ARRAY_BUFFER, this._bytes);
    this._attribute(gl, "look", 4, gl.UNSIGNED_BYTE, BYTES, 0, 1);
    gl.bindVertexArray(null);
    this._size = 0;
    this._isNew = true;
  }

  _attribute(gl, name, width, kind, stride, offset, divisor) {
    const at = gl.getAttribLocation(this._program, name);
    gl.enableVertexAttribArray(at);
    gl.vertexAttribPointer(at, width, kind, false, stride, offset);
    gl.vertexAttribDivisor(at, divisor);
  }

  onRemove(_, gl) {
    for (const buffer of [this._corners, this._floats, this._bytes]) gl.deleteBuffer(buffer);
    gl.deleteVertexArray(this._array);
    gl.deleteProgram(this._program);
  }

  render(gl, { defaultProjectionData }) {
    const { _fleet: fleet, _map: map, _at: at } = this;
    if (!fleet.count) return;
    gl.bindVertexArray(this._array);
    if (this._isNew) this._bring(gl);
    const { lng, lat } = map.getCenter();
    const [x, y] = [mercatorX(lng), mercatorY(lat)];
    // A float has 24 bits, 2 m of the earth: so places count from the centre, in two parts.
    const m = Array.from(defaultProjectionData.mainMatrix);
    for (let i = 0; i < 4; i++) m[12 + i] += m[i] * x + m[4 + i] * y;
    const [high_x, high_y] = [Math.fround(x), Math.fround(y)];
    const { clientWidth, clientHeight } = map.getCanvas();
    gl.useProgram(this._program);
    gl.uniformMatrix4fv(at.matrix, false, m);
    gl.uniform4f(at.centre, high_x, high_y, x - high_x, y - high_y);
    gl.uniform2f(at.pixel, 2 / clientWidth, 2 / clientHeight);
    gl.uniform2f(at.clock, (fleet.now - fleet.start) / 1000, this._staleAfterS);
    gl.uniform2i(at.chosen, this.selected, this.hovered);
    gl.uniform1f(at.bearing, (map.getBearing() * Math.PI) / 180);
    gl.uniform1f(at.scale, Math.min(1.25, Math.max(0.55, 0.55 + (map.getZoom() - 11) * 0.12)));
    gl.uniform3fv(at.edge, this.isLight ? [1, 1, 1] : [0.03, 0.05, 0.08]);
    gl.uniform1i(at.isCameras, this.isCameras && map.getZoom() >= CAMERAS_ZOOM);
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
    gl.disable(gl.DEPTH_TEST);
    gl.disable(gl.CULL_FACE);
    for (const isAbove of [0, 1]) {
      gl.uniform1i(at.isAbove, isAbove);
      gl.drawArraysInstanced(gl.TRIANGLE_STRIP, 0, 4, fleet.count);
    }
    gl.bindVertexArray(null);
  }

  _bring(gl) {
    const { floats, bytes, count } = this._fleet;
    const isGrown = floats.length !== this._size;
    for (const [buffer, values, width] of [[this._floats, floats, FLOATS], [this._bytes, bytes, BYTES]]) {
      gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
      if (isGrown) gl.bufferData(gl.ARRAY_BUFFER, values, gl.DYNAMIC_DRAW);
      else gl.bufferSubData(gl.ARRAY_BUFFER, 0, values, 0, count * width);
    }
    this._size = floats.length;
    this._isNew = false;
  }
}

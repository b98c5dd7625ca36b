// The wallboard.

export { mount } from "./map.js";

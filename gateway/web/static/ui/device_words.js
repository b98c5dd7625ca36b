// The words of devices, for whichever page shows something of one.

import { addWords } from "../i18n.js";
import { words as field } from "../words/console.js";
import { words } from "../words/devices.js";

addWords(field);
addWords(words);

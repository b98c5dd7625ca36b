// The words of devices, for whichever page shows something of one.

import { addWords } from "../i18n.js";
import { words } from "../words/devices.js";

addWords(words);

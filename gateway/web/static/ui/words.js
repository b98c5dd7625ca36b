// The words that pages with lists share, taken up once.

import { addWords } from "../i18n.js";
import { words } from "../words/ui.js";

addWords(words);

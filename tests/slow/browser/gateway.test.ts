/** Every page of a real gateway in Chromium, by keys; `GATEWAY` says what it runs on. */

import { after, before } from "node:test";
import { inChromium } from "./harness.ts";
import { begin, end } from "./real.ts";
import "./frame.ts";
import "./tools.ts";
import "./pages.ts";

before(() => inChromium.skip ? console.log(inChromium.skip) : begin());
after(end);

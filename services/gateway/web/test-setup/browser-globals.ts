// What browsers have and Debian 12's Node 18 lacks as a global, for unit tests of code that runs in browsers.
import { webcrypto } from "node:crypto";

globalThis.crypto ??= webcrypto as Crypto;

// The player's page.
import { render } from "preact";
import "../design/base.css";
import "./player.css";
import { streamOf } from "./address";
import { Player } from "./Player";

const app = document.getElementById("app");
const id = streamOf(location.pathname);
if (!id) location.replace("/");
else if (app) render(<Player id={id} />, app);

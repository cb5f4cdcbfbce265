// The wall's page.
import { render } from "preact";
import "../design/base.css";
import "./wall.css";
import { Wall } from "./Wall";

const app = document.getElementById("app");
if (app) render(<Wall />, app);

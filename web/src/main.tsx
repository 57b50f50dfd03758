// Starts the console.
import { render } from "preact";
import { App } from "./app";
import { followHash } from "./lib/router";
import { followSystem } from "./lib/theme";
import "./style/base.css";
import "./style/frame.css";
import "./style/parts.css";
import "./style/pages.css";
import "./style/predict.css";

followSystem();
followHash();
const root = document.getElementById("app");
if (root !== null) render(<App />, root);

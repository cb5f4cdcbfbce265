// The first script of the player's page: asks for the playlists, then loads the rest.
import { streamOf } from "./address";
import { prefetch } from "./prefetch";

const id = streamOf(location.pathname);
if (id) prefetch(id);
void import("./main");

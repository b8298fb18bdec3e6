"""Help pages as ComfyUI's front end asks for them: web/docs/<node>/<language>.md and the pictures beside it.

It wants a page in the user's own language and no other, and it looks for pictures one folder too high.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from .progress import running_server

if TYPE_CHECKING:  # ComfyUI's server brings it; without a server there is nothing to serve
    from aiohttp import web

PACK = Path(__file__).parents[1]  # unresolved: ComfyUI names a pack by the folder, or the link, that it found
PAGES = PACK / "web" / "docs"
AT = f"/extensions/{PACK.name}/docs"


def serve_help() -> None:
    """Answer for the pages that are not translated, and for pictures."""
    if server := running_server():
        server.routes.get(AT + "/{node}/{language}.md")(send_page)
        server.routes.get(AT + "/{picture}")(send_picture)


async def send_page(request: web.Request) -> web.StreamResponse:
    node, language = request.match_info["node"], request.match_info["language"]
    return send(node, f"{language}.md", "en.md")


async def send_picture(request: web.Request) -> web.StreamResponse:
    picture = request.match_info["picture"]
    return send(picture.split(".")[0].split("-")[0], picture)  # each begins with its node's name


def send(node: str, *names: str) -> web.StreamResponse:
    """The first of these files that lies in a node's folder, and nothing from anywhere else."""
    from aiohttp import web

    files = {(file.parent.name, file.name): file for file in PAGES.glob("*/*")}
    found = [files[node, name] for name in names if (node, name) in files]
    if not found:
        raise web.HTTPNotFound
    return web.FileResponse(found[0])

"""Sheaf itself with one more route, which answers fixed bytes: what HTTP and all that surrounds it cost."""

from litestar import Litestar, Response, get

from scripts.measuring import products
from service import app


@get(products.STATIC_PATH)
async def give_static_answer() -> Response[bytes]:
    """Answer as many bytes as a product has, without having looked anything up."""
    return Response(products.STATIC_BODY, media_type="application/json")


def create() -> Litestar:
    """Make the application of a worker process, from the environment."""
    application = app.create()
    application.register(give_static_answer)
    return application

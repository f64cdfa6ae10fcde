"""A few products to begin with, when no file is given."""

from typing import Any

PRODUCTS: tuple[dict[str, Any], ...] = tuple(
    {"name": name, "price": price, "category": category, "tags": tags.split(), "description": description}
    for name, price, category, tags, description in (
        (
            "Laptop",
            1299.0,
            "electronics",
            "computer portable",
            "14 inches, 16 GB of memory, a day of battery.",
        ),
        ("Wireless Mouse", 29.95, "electronics", "computer accessory", "Three buttons, silent, USB-C."),
        (
            "Mechanical Keyboard",
            89.5,
            "electronics",
            "computer accessory",
            "Tenkeyless, hot-swappable switches.",
        ),
        (
            "Noise-Cancelling Headphones",
            249.0,
            "electronics",
            "audio wireless",
            "Thirty hours on one charge.",
        ),
        ("Espresso Machine", 449.0, "kitchen", "coffee", "Fifteen bar, with a steam wand."),
        ("Chef's Knife", 74.9, "kitchen", "steel", "Twenty centimetres, forged, stays sharp."),
        ("Cast-Iron Pan", 39.0, "kitchen", "cookware oven", "Twenty-six centimetres, for a lifetime."),
        ("Desk Lamp", 45.0, "home", "light led", "Warm to cold light, dimmable."),
        ("Office Chair", 329.0, "home", "furniture ergonomic", "Adjustable in every direction."),
        ("Running Shoes", 119.95, "sports", "shoes", "Light, for roads, in twelve sizes."),
        ("Yoga Mat", 24.5, "sports", "fitness", "Six millimetres, does not slip."),
        ("Notebook", 9.9, "stationery", "paper", "A5, dotted, 192 pages that lie flat."),
    )
)

"""Markdown as a part of an HTML page."""


def as_html(text: str) -> str:
    """HTML that a browser may show: HTML in `text` is shown as it is written and never obeyed, and nothing is fetched.

    An image becomes a link to where it is.
    """
    from markdown_it import MarkdownIt  # 40 ms: only for a page

    reader = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"]).disable("image")
    return str(reader.render(text))

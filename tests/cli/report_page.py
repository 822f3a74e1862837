"""A page as its parser sees it."""

from html.parser import HTMLParser


class Page(HTMLParser):
    """Tags with their attributes, and the text of styles and scripts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, str] = {}
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        if self.rawdata and self.cdata_elem is not None:  # inside a style or a script
            tag, attributes = self.tags[-1]
            name = attributes.get("type") or tag
            self.texts[name] = self.texts.get(name, "") + data

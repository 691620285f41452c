"""Registered devices for tests."""

from broker.identifiers import AETitle
from broker.registry.document import read
from broker.registry.model import Binding, Modality


def content(name: str, *titles: str, modality: str = "US", description: str = "") -> bytes:
    quoted = ", ".join(f'"{title}"' for title in titles)
    return f'name = "{name}"\nmodality = "{modality}"\nae_titles = [{quoted}]\ndescription = "{description}"\n'.encode()


def device(name: str, *titles: str, host: str = "", ae_title: str = "") -> Modality:
    document = read(content(name, *titles), name)
    return Modality(name, "0" * 64, document, Binding(host=host, ae_title=AETitle(ae_title) if ae_title else None))

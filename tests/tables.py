"""Imports every module that declares a table, so that the metadata is whole."""

import importlib
import pkgutil

import broker

for _module in pkgutil.walk_packages(broker.__path__, "broker."):
    if _module.name.endswith(".store") or _module.name == "broker.journal":
        importlib.import_module(_module.name)

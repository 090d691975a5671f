"""The brokers of tests/clients under a name of their own: its package is called lib as well."""

import importlib
import importlib.util
import pathlib
import sys

_dir = pathlib.Path(__file__).resolve().parent.parent.parent / "tests" / "clients" / "lib"
_spec = importlib.util.spec_from_file_location("clients_lib", _dir / "__init__.py", submodule_search_locations=[str(_dir)])
_package = importlib.util.module_from_spec(_spec)
sys.modules["clients_lib"] = _package
_spec.loader.exec_module(_package)

brokers = importlib.import_module("clients_lib.broker")
host = importlib.import_module("clients_lib.host")

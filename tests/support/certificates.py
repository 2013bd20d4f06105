"""An authority that signs certificates into a folder, by openssl."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any


class Authority:
    """An authority that signs certificates into a folder.

    Args:
        folder: Folder to make.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        self.certificate = folder / "authority.pem"
        self._openssl("req", "-x509", *self._new("authority"), "-days", "2", "-out", self.certificate)

    def sign(self, name: str, alternatives: str) -> tuple[Path, Path]:
        """Certificate and key for a name."""
        request, certificate = self.folder / f"{name}.csr", self.folder / f"{name}.pem"
        self._openssl("req", *self._new(name), "-addext", f"subjectAltName={alternatives}", "-out", request)
        signer = ("-CA", self.certificate, "-CAkey", self.folder / "authority.key", "-CAcreateserial")
        copy = ("-copy_extensions", "copy", "-days", "2")
        self._openssl("x509", "-req", "-in", request, *signer, *copy, "-out", certificate)
        return certificate, self.folder / f"{name}.key"

    def _new(self, name: str) -> tuple[Any, ...]:
        key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
        return (*key, "-keyout", self.folder / f"{name}.key", "-subj", f"/CN={name}")

    def _openssl(self, *arguments: Any) -> None:
        subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True, timeout=60)

"""Certificates for the tests: an authority made on the spot, and servers' certificates that it signs. By openssl's own command."""
import subprocess
from pathlib import Path


def openssl(folder, *words):
    subprocess.run(["openssl", *words], cwd=folder, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


class Authority:
    """FOLDER/NAME.pem: what whoever trusts it is given."""

    def __init__(self, folder, name):
        self.folder, self.name = Path(folder), name
        self.folder.mkdir(parents=True, exist_ok=True)
        self.path = self.folder / f"{name}.pem"
        openssl(self.folder, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN=tests: {name}", "-keyout", f"{name}.key", "-out", f"{name}.pem",
                "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign")

    def server(self, host):
        """A server's key and certificate, for that DNS name alone: (key, certificate)."""
        openssl(self.folder, "req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={host}", "-keyout", f"{host}.key", "-out", f"{host}.csr")
        (self.folder / f"{host}.ext").write_text(f"subjectAltName = DNS:{host}\nbasicConstraints = CA:FALSE\n")
        openssl(self.folder, "x509", "-req", "-in", f"{host}.csr", "-CA", f"{self.name}.pem", "-CAkey", f"{self.name}.key", "-CAcreateserial", "-days", "2",
                "-extfile", f"{host}.ext", "-out", f"{host}.pem")
        return self.folder / f"{host}.key", self.folder / f"{host}.pem"

"""The README's walk-through, line by line as it stands there, with only the server's address replaced.

A `bash` or `python` block is run; a `json` or `text` block after it is what it prints.
"""

import json
import os
import pathlib
import re
import subprocess
import sys

import pytest
from conftest import Server, binary

README = pathlib.Path(__file__).parent.parent.parent / "README.md"
ADDRESS = "http://127.0.0.1:8002"
PYTHON_FOLDER = pathlib.Path(sys.executable).parent


def blocks(language, *outputs, section="Walk-through"):
    """The section's blocks in this language with what follows each: (code, printed or None)."""
    text = README.read_text().split(f"\n## {section}\n")[1].split("\n## ")[0]
    found = re.findall(r"^```(\w+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    following = found[1:] + [("", "")]
    return [
        (code, printed if next_language in outputs else None)
        for (block_language, code), (next_language, printed) in zip(found, following, strict=True)
        if block_language == language
    ]


def commands(code):
    """The block's lines, with those joined that a backslash continues."""
    return [line for line in re.sub(r"\\\n\s*", "", code).split("\n") if line]


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    with Server(tmp_path_factory.mktemp("readme")) as server:
        path = f"{PYTHON_FOLDER}:{os.environ['PATH']}"
        yield os.environ | {"PATH": path, "AWS_PAGER": "", "ADDRESS": server.url}


def run(command, environment, cwd=None):
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=cwd, timeout=180, check=False)
    assert done.returncode == 0, f"{command}\n{done.stderr}"
    return done.stdout


def test_the_cli_commands(environment):
    exports, ran = [], 0
    for code, printed in blocks("bash", "json"):
        output = ""
        for line in commands(code.replace(ADDRESS, environment["ADDRESS"])):
            if line.startswith("export "):
                exports.append(line)
                continue
            # The CLI is a Python program: named by its path, it runs with the interpreter of the tests.
            assert line.startswith("aws dynamodb "), line
            output += run(["bash", "-euc", "\n".join([*exports, line])], environment)
            ran += 1
        if printed is not None:
            found, expected = json.loads(output), json.loads(printed)
            if isinstance(expected, dict) and "ConsumedCapacity" in expected:
                found.setdefault("ConsumedCapacity", None)
            assert found == expected, code
    assert ran >= 10


def test_the_python_program(environment):
    ((code, printed),) = blocks("python", "text")
    keys = {"AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local"}
    program = code.replace(ADDRESS, environment["ADDRESS"])
    assert run([sys.executable, "-c", program], environment | keys) == printed


def test_the_maintenance_commands(tmp_path):
    """Beside a running server, from the folder that its data directory is in."""
    ((code, _),) = blocks("sh", section="Back up, restore, verify")
    environment = os.environ | {"PATH": f"{pathlib.Path(binary()).parent}:{os.environ['PATH']}"}
    with Server(tmp_path / "data"):
        outputs = [run(["bash", "-euc", line], environment, tmp_path) for line in commands(code)]
    assert [output.split(" ")[0] for output in outputs] == ["backup", "backup", "backup", "all", "0"]

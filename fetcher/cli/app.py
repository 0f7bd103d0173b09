"""All commands together. A list of them imports no command, and only a failure imports the words for it."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from cyclopts import App, Group, Parameter

from fetcher import __version__
from fetcher.cli.exits import Exit


def _default_words(value: object) -> str | None:
    """Return a default that is worth showing; that a switch is off needs no words."""
    return None if value in (None, False, 0, ()) else str(value)


HERE = Group.create_ordered("On this machine")
THERE = Group.create_ordered("On a server")
OPERATOR = Group.create_ordered("For operators")


@dataclass(frozen=True)
class Command:
    """A command, whose module is imported when the command runs.

    Args:
        where: `module:function`, in `fetcher.cli`.
        words: The first line of the function's docstring, which help shows without importing it.
    """

    where: str
    words: str

    def register(self, parent: App, name: str, group: Group | None, *, is_listed: bool) -> None:
        """Let the parent run the command by its name.

        Args:
            is_listed: Help lists the command by its words alone; else it shows the whole docstring.
        """
        more: dict[str, Any] = {} if group is None else {"group": group}
        if is_listed:
            more["help"] = self.words
        parent.command(f"fetcher.cli.{self.where}", name=name, **more)


COMMANDS = {
    HERE: {
        "pull": Command("machine.local:pull", "Pull a URL into the local store, without a server."),
        "migrate": Command(
            "machine.migrating:migrate",
            "Copy images to another store, records to another database; a server may run until the end.",
        ),
        "inspect": Command(
            "machine.inspecting:inspect",
            "Say what an image is and whether it is safe to boot from, without importing it.",
        ),
        "unpack": Command(
            "machine.unpacking:unpack",
            "Take the disk out of .xz, .gz, .zst, .tar, .zip, .ova and the like, as an import does.",
        ),
        "convert": Command(
            "machine.converting:convert",
            "Convert a disk image, in one pass where its bytes allow it, else by qemu-img in a sandbox.",
        ),
        "verify": Command(
            "server.attesting:verify",
            "Check that a file is what a signed statement says, by its digest, signature and key; offline.",
        ),
        "verify-boot": Command(
            "machine.converting:verify_boot_command",
            "Boot an image in a virtual machine without network and watch its serial port.",
        ),
    },
    THERE: {
        "submit": Command("server.remote:submit", "Submit a URL to a server."),
        "probe": Command(
            "server.probing:probe",
            "Look at a URL through a server without importing it: what it is, what would refuse it.",
        ),
        "catalogue": Command("server.catalogue:catalogue", "Find images by name in a server's catalogues."),
        "imports": Command("server.remote:imports", "List imports, the newest first."),
        "show": Command("server.remote:show", "Show an import or an image."),
        "cancel": Command("server.remote:cancel", "Cancel an import; nothing of it is left."),
        "images": Command("server.remote:images", "List images, the newest first."),
        "push": Command(
            "server.exports:push",
            "Send an image to a signed URL, a bucket, a registry or another image service.",
        ),
        "link": Command("server.links:link", "Make a link with which anybody may fetch an image for a time."),
        "exports": Command("server.exports:exports", "List exports, the newest first."),
        "limits": Command("server.remote:limits", "Show every limit in force on a server."),
    },
    OPERATOR: {
        "serve": Command("machine.local:serve", "Serve the page and the APIs until a signal ends it."),
        "adopt": Command(
            "adopt.command:adopt",
            "Take over the images of a running Glance, or any Image API v2, with ids, owners and members.",
        ),
        "doctor": Command(
            "machine.doctor:doctor", "Look for what keeps the service from working on this machine."
        ),
        "cluster": Command(
            "server.cluster:cluster", "Show the hosts that share a database, what each does, and the queue."
        ),
        "token": Command(
            "machine.tokens:token", "Make a token, and the entry of `auth.tokens` that lets its holder in."
        ),
        "completion": Command(
            "shells:completion", 'Print a completion script: `eval "$(fetcher completion bash)"`.'
        ),
    },
}
VERBS = {
    "images": {
        "delete": Command("server.images:delete", "Delete images; this cannot be undone."),
        "rename": Command("server.images:rename", "Give an image another name."),
        "tag": Command("server.images:tag", "Add tags to an image, and remove tags from it."),
        "attestation": Command(
            "server.attesting:attestation", "Save the signed statement of where an image came from."
        ),
        "save": Command("server.saving:save", "Save an image to a file, and check its digest."),
    }
}
"""The default verbs of commands that have others."""

GROUPS = {
    "config": (
        "Check, show and change the configuration.",
        {
            "check": Command("machine.settings:check", "List every mistake of a configuration at once."),
            "show": Command("machine.settings:show", "Show what is in force, or one section or key of it."),
            "set": Command(
                "machine.settings:set_key",
                "Change one key of the operator's file; its comments stay, and a change that is not valid "
                "is refused.",
            ),
        },
    ),
    "store": (
        "Look after the store: check, repair, gc, backup.",
        {
            "check": Command(
                "machine.store:check",
                "Look whether index and store agree, and read every image's bytes again; a server may run "
                "meanwhile.",
            ),
            "repair": Command(
                "machine.store:repair",
                "Mark what is missing or corrupt, pull it again from where it came, and count anew; no "
                "server may run.",
            ),
            "gc": Command(
                "machine.store:gc", "Remove files that the index knows nothing of; no server may run."
            ),
            "backup": Command(
                "machine.store:backup",
                "Copy index and images to a new folder, which is a store itself; a server may run meanwhile.",
            ),
        },
    ),
    "schedules": (
        "Keep images new by their names in catalogues.",
        {
            "add": Command(
                "server.scheduling:add",
                "Keep an image new: look for a newer one now and then, import it, and give it the name.",
            ),
            "list": Command(
                "server.scheduling:show", "List the images that are kept new, and how the last look ended."
            ),
            "change": Command(
                "server.scheduling:change", "Change a schedule; what is not named stays as it is."
            ),
            "run": Command("server.scheduling:run", "Look for a newer image now."),
            "remove": Command("server.scheduling:remove", "Keep an image new no longer; its images stay."),
        },
    ),
    "keys": (
        "Show and rotate the key that statements on images are signed with.",
        {
            "show": Command(
                "server.attesting:show_keys", "Print the public keys of a server, the newest first."
            ),
            "rotate": Command(
                "server.attesting:rotate_key",
                "Make a new signing key in the store's folder; a server may run, and signs with it at once.",
            ),
            "revoke-links": Command(
                "server.links:revoke",
                "End every link to an image that was made so far; a server may run, and takes none of them "
                "any more.",
            ),
        },
    ),
    "audit": (
        "Export the head of the audit trail, and find out whether the trail was changed.",
        {
            "head": Command(
                "machine.auditing:head", "Print the last line's number and digest; keep it elsewhere."
            ),
            "verify": Command(
                "machine.auditing:verify",
                "Compute the digests of the audit trail anew, and compare with a head that was exported.",
            ),
        },
    ),
    "metadefs": (
        "Bring in metadata definitions.",
        {
            "load": Command(
                "server.metadefs:load",
                "Bring in metadata definitions, in the form of the files in Glance's etc/metadefs; a server "
                "may run.",
            )
        },
    ),
}


def build(*, is_listed: bool = False, wanted: str | None = None) -> App:
    """Put all commands together.

    Args:
        is_listed: For a list of commands only: no command's module is imported for it.
        wanted: The command that is to run, where it is known: others are not imported.
    """
    app = App(
        name="fetcher",
        help="Submit a URL, get an image.",
        version=__version__,
        help_format="plaintext",
        result_action="return_value",
        suppress_keyboard_interrupt=False,
        default_parameter=Parameter(show_default=_default_words),
    )
    for group, commands in COMMANDS.items():
        for name, command in commands.items():
            if name in VERBS:
                is_run = wanted in (None, name)
                app.command(_with_verbs(name, command, group, is_listed=is_listed, is_run=is_run))
            else:
                command.register(app, name, group, is_listed=is_listed)
    for parent_name, (words, commands) in GROUPS.items():
        parent = App(name=parent_name, help=words, group=OPERATOR)
        for name, command in commands.items():
            command.register(parent, name, None, is_listed=is_listed)
        app.command(parent)
    return app


def _with_verbs(name: str, command: Command, group: Group, *, is_listed: bool, is_run: bool) -> App:
    """Make a command that does something by itself, and something else with a verb behind it."""
    app = App(name=name, help=command.words, group=group)
    for verb, verb_command in VERBS[name].items():
        verb_command.register(app, verb, None, is_listed=is_listed)
    if is_run:
        module, _, function = command.where.partition(":")
        app.default(getattr(import_module(f"fetcher.cli.{module}"), function))
    return app


def run(arguments: Sequence[str]) -> int:
    """Run one command line; the answer is the exit code."""
    words = [word for word in arguments if not word.startswith("-")]
    wanted = words[0] if words else ""
    is_listed = not words or (len(words) == 1 and wanted in {*GROUPS, *VERBS})
    try:
        result = build(is_listed=is_listed, wanted=wanted)(list(arguments))
    except SystemExit as leaving:  # A wrong command line: the message is out already.
        return leaving.code if isinstance(leaving.code, int) else Exit.USAGE
    except BrokenPipeError:
        sys.stdout = None  # The reader has left: nothing may be flushed to it.
        return Exit.OK
    except (KeyboardInterrupt, Exception) as error:  # noqa: BLE001 - what nobody foresaw is raised again below
        from fetcher.cli.failures import report
        from fetcher.cli.screen import Screen

        return report(error, Screen(as_json="--json" in arguments))
    return int(result or 0)

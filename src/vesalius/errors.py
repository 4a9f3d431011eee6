"""The one error a user sees: what is wrong, in which file or case, and what to do about it.

Raise it where the cause is known. The command line prints it as one line and exits with `exit_code`; a run records
it against the case and goes on. Anything else that escapes is a defect of ours and keeps its traceback.
"""

from pathlib import Path


class VesaliusError(Exception):
    """Bad input, said in one line.

    Args:
        problem: what is wrong, as a short clause ("gzip stream ends early").
        file: the file at fault.
        case: the case (patient, question, video) at fault.
        remedy: what the user can do about it, as an imperative ("copy the file again").
        code: a short machine-readable word for tables (`unreadable`, `shape`, `geometry`, ...).
    """

    exit_code = 2

    def __init__(
        self,
        problem: str,
        *,
        file: str | Path | None = None,
        case: str | None = None,
        remedy: str | None = None,
        code: str = "invalid",
    ):
        self.problem = problem
        self.file = None if file is None else str(file)
        self.case = case
        self.remedy = remedy
        self.code = code
        super().__init__(problem)

    def __str__(self) -> str:
        where = [part for part in (self.file, f"case {self.case}" if self.case else None) if part]
        line = ": ".join([*where, self.problem])
        return f"{line} — {self.remedy}" if self.remedy else line

    def __reduce__(self):
        # Exceptions are pickled through their positional arguments; workers must hand this one back whole.
        return _rebuild, (self.problem, self.file, self.case, self.remedy, self.code)


def _rebuild(problem, file, case, remedy, code):
    return VesaliusError(problem, file=file, case=case, remedy=remedy, code=code)

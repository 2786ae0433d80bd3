"""The subcommands about plans: run, status, book, slides. What they need is imported when they are called."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from adautomix.cli.arguments import FAILED, PlanChoice, RunPlan, settings
from adautomix.utils.errors import UserError

if TYPE_CHECKING:
    from adautomix.plans.tasks import Plan

NEXT = """open it in a browser: it needs neither a server nor the network. Then:
  read on and change things    make lab, and there 00_index
  use your own images          11_your_own_images, or adautomix train --data folder --root my_images --method adautomix
  a cell of the paper's table  adautomix recipes, then adautomix train --recipe NAME on a GPU
  a whole plan                 adautomix run cifar10, then make book PLAN=cifar10"""


def run(args: RunPlan) -> int:
    """Run a plan of notebooks in parallel; what is done already is kept."""
    from adautomix.plans.orchestrate import run_plan
    from adautomix.plans.report import outcome_text

    for name in ("workers", "gpu_share"):
        if getattr(args, name) is not None and getattr(args, name) < 1:
            raise UserError(f"{name} must be 1 or more, got {getattr(args, name)}")
    if args.only == ():
        raise UserError("--only names no step; leave it out to run all of them")
    plan = _plan(args, again=args.name is not None)
    given = _given(args)
    if kept := [f"{name}={value}" for name, value in plan.settings.items() if name not in given]:
        print(f"{plan.name}: with {', '.join(kept)}, as in its last run")
    how = {name: getattr(args, name) for name in ("workers", "scheduler", "force", "gpu_share")}
    outcomes = run_plan(plan, **how | {"only": args.only or ()})
    print("\n" + outcome_text(plan, outcomes.values()))
    return FAILED if any(o.state in ("failed", "skipped") for o in outcomes.values()) else 0


def status(args: PlanChoice) -> int:
    """Show the state of every notebook of a plan, as it was last run under that name."""
    from adautomix.plans.report import status_text

    print(status_text(_plan_that_ran(args)))
    return 0


def book(args: PlanChoice) -> int:
    """Build the site of what a plan executed: web pages that need neither a server nor the network."""
    from adautomix.book import build

    site = build(_plan_that_ran(args))
    print(f"\nsite ({'built now' if site.built else 'nothing changed since it was built'}): {site.front}")
    if site.warnings is not None:
        print(f"Sphinx had something to say about it: {site.warnings}")
    print(NEXT)
    return 0


def slides(args: PlanChoice) -> int:
    """Make reveal.js slides of 01, 02, 03 and 41, with the figures of what a plan executed; they need no network."""
    from adautomix.book.slides import build_slides

    made = build_slides(_plan(args, again=True))
    for file, executed in made.items():
        print(f"{file}{'' if executed else '  (text alone: the plan did not run this notebook)'}")
    print("open one in a browser: arrows go on, S shows the speaker's notes; print with ?print-pdf behind the address")
    return 0


def _plan_that_ran(args: PlanChoice) -> Plan:
    plan = _plan(args, again=True)
    if args.name is not None and not plan.outputs.exists():
        raise UserError(f"nothing was run under the name {args.name!r}: there is no {plan.outputs}")
    return plan


def _plan(args: PlanChoice, *, again: bool) -> Plan:
    """Return the plan with its `--set`; if `again`, what its outputs' last run had set stays unless set anew."""
    from adautomix.plans.last_run import FILE, recall
    from adautomix.plans.tasks import load_plan

    given = _given(args)
    plan = load_plan(args.plan, name=args.name)
    last = (recall(plan) or {}) if again else {}
    replaced = last | given
    try:
        return load_plan(args.plan, settings=replaced, name=args.name) if replaced else plan
    except UserError as error:
        if not (kept := ", ".join(f"{name}={value}" for name, value in replaced.items() if name not in given)):
            raise
        told = f"the last run of {plan.name} had set {kept}, which stays: take out what is wrong in"
        raise UserError(f"{error}\n{told} {plan.outputs / FILE}") from error


def _given(args: PlanChoice) -> dict[str, Any]:
    return settings("--set", args.set, "a list of values is one: --set {}=[1,2]")

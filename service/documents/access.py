"""What one caller may do in one collection, decided once per verb."""

from service.access import scopes
from service.access.decisions import REFUSED, Decision
from service.access.principals import Principal
from service.access.rules import Verb
from service.collections.registry import Collection
from service.kit.errors import Forbidden, SignInRequired


class Access:
    """One caller's access to one collection, for the time of one request.

    The collection and each verb's decision stay the same throughout, whatever becomes of the definition
    meanwhile.
    """

    __slots__ = ("_decisions", "collection", "principal")

    def __init__(self, collection: Collection, principal: Principal) -> None:
        self.collection = collection
        self.principal = principal
        self._decisions: dict[Verb, Decision] = {}

    def decide(self, verb: Verb) -> Decision:
        """Decide what the caller may do by a verb; the one place that asks the rules, without I/O."""
        decision = self._decisions.get(verb)
        if decision is None:
            if scopes.cover(self.principal, self.collection.name, verb):
                decision = self.collection.description.rules.decide(verb, self.principal)
            else:
                decision = REFUSED
            self._decisions[verb] = decision
        return decision

    def permit(self, verb: Verb) -> Decision:
        """Return the decision on a verb that the caller may use, if only on some documents.

        Raises SignInRequired or Forbidden when it may be used on none. Every path to a document asks here.
        """
        decision = self.decide(verb)
        if decision.allowed:
            return decision
        if self.principal.id is None:
            raise SignInRequired
        name = self.collection.name
        if not scopes.cover(self.principal, name, verb):
            raise scopes.lacking(f"{name}:{verb}")
        raise Forbidden(f"The rules of `{name}` do not let you {verb} its documents")

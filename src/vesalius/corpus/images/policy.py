"""How images are asked for: who asks, how often, how long, how large, and what is never asked."""

from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, field_validator

from vesalius import __version__

Network = IPv4Network | IPv6Network

# Kinds that `check` decodes; an SVG is a program, and a PDF no image.
KINDS = frozenset({"jpeg", "png", "gif", "webp", "tiff", "bmp", "avif"})
# As img2dataset has them: who keeps an image out of an index wants it in no data set either; `none` says both.
REFUSING = frozenset({"noai", "noimageai", "noindex", "noimageindex", "none"})
# Of a page: `noindex` is about the page alone, whose text somebody else judges.
PAGE_REFUSING = frozenset({"noai", "noimageai", "noimageindex"})


class Policy(BaseModel):
    """See the fields. The defaults are for the open web."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    agent: str = Field(
        default="VesaliusBot", pattern=r"^[A-Za-z_-]+$", description="Who asks: the product token of RFC 9309."
    )
    contact: str = Field(
        default="", pattern=r"^[!-~]*$", description="URL or address where a site's owner can complain."
    )

    concurrency: int = Field(default=64, ge=1, description="Requests at once, to all hosts.")
    per_host: int = Field(
        default=2, ge=1, description="Requests at once to one host; 1 where its robots.txt has a delay."
    )
    delay: float = Field(
        default=0.25, ge=0, description="Seconds between the starts of two requests to a host, at least."
    )
    longest_delay: float = Field(default=30, ge=0, description="Seconds of a Crawl-delay that are honoured at most.")
    window: int = Field(default=4096, ge=1, description="Images in hand at once; more of them mix more hosts.")

    connect: float = Field(default=10, gt=0, description="Seconds until a connection stands.")
    silence: float = Field(default=15, gt=0, description="Seconds without a byte.")
    deadline: float = Field(
        default=60, gt=0, description="Seconds for an image in all, its turns at the host left out."
    )
    patience: float = Field(default=3600, gt=0, description="Seconds that an image waits for its turns in all.")
    retries: int = Field(
        default=2, ge=0, description="Further attempts, after failures of the network and 429 and 5xx."
    )
    pause: float = Field(default=1, ge=0, description="Seconds before the second attempt, doubled for each after it.")
    longest_pause: float = Field(
        default=300, ge=0, description="Seconds; who asks for more (Retry-After) is left alone."
    )
    seed: int = Field(default=0, description="Of the chance by which pauses are lengthened, up to half.")
    host_failures: int = Field(default=5, ge=1, description="Images in a row that a host must fail to be left alone.")

    max_bytes: int = Field(default=20 << 20, ge=1, description="Of a file, unpacked.")
    kinds: frozenset[str] = Field(default=KINDS, description="Of files, by their first bytes.")
    redirects: int = Field(default=5, ge=0, description="Followed at most.")

    robots: bool = Field(default=True, description="Whether robots.txt is asked and obeyed.")
    robots_ttl: float = Field(
        default=86400, gt=0, description="Seconds that a robots.txt counts; RFC 9309: a day at most."
    )
    refusing: frozenset[str] = Field(default=REFUSING, description="Words of an image's X-Robots-Tag that refuse it.")
    page_refusing: frozenset[str] = Field(default=PAGE_REFUSING, description="Words of a page that refuse its images.")
    reservation: bool = Field(default=True, description="Whether tdm-reservation and ai-train=no refuse.")

    allow: tuple[Network, ...] = Field(default=(), description="Networks asked though they are not public.")
    roots: tuple[Path, ...] = Field(default=(), description="Folders whose files may be taken; none by default.")

    least_success: float = Field(default=0.1, ge=0, le=1, description="Share of images below which the run stops.")
    success_window: int = Field(default=1000, ge=1, description="Over how many of the last ones it is taken.")

    @field_validator("allow", mode="before")
    @classmethod
    def _networks(cls, value):
        return tuple(ip_network(one) if isinstance(one, str) else one for one in value)

    @property
    def user_agent(self) -> str:
        """What the servers see."""
        contact = f" (+{self.contact})" if self.contact else ""
        return f"{self.agent}/{__version__}{contact}"

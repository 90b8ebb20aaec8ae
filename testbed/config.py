"""The configuration files of an instance, as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from testbed.ports import PortBlock

DEFAULT_DIALPLAN = """\
[callers]
exten => 100,1,Answer()
 same => n,Echo()
 same => n,Hangup()
"""

DEFAULT_CODECS = ("ulaw", "alaw", "g722", "slin", "slin16")

CONTEXT = "callers"
"""Where calls enter the dialplan."""

DIRECTORIES = (
    *("astetcdir", "astmoddir", "astvarlibdir", "astdbdir", "astkeydir", "astdatadir"),
    *("astagidir", "astspooldir", "astrundir", "astlogdir", "astsbindir", "astcachedir"),
)

USELESS_MODULES = (
    # Channels, transports and databases that no call here uses; most only say what they miss.
    *("chan_iax2", "chan_mgcp", "chan_skinny", "chan_unistim", "chan_dahdi", "chan_console"),
    *("chan_motif", "chan_mobile", "chan_ooh323", "chan_oss", "chan_alsa", "chan_audiosocket"),
    *("chan_websocket", "chan_sip", "app_dahdiras", "app_meetme", "app_flash", "codec_dahdi"),
    *("res_timing_dahdi", "pbx_dundi", "pbx_ael", "pbx_lua", "pbx_realtime", "res_xmpp"),
    *("res_snmp", "res_hep", "res_hep_pjsip", "res_hep_rtcp", "res_phoneprov", "res_smdi"),
    *("res_pjsip_phoneprov_provider", "res_pjsip_transport_websocket", "res_pjsip_config_wizard"),
    *("res_config_odbc", "res_config_pgsql", "res_config_mysql", "res_config_ldap", "res_odbc"),
    *("res_config_sqlite3", "res_odbc_transaction", "res_calendar", "res_calendar_caldav"),
    *("res_calendar_ews", "res_calendar_exchange", "res_calendar_icalendar", "res_ael_share"),
    *("res_stun_monitor", "res_corosync", "res_geolocation", "res_pjsip_geolocation"),
    *("res_stir_shaken", "res_pjsip_stir_shaken", "res_tonedetect", "res_aeap", "res_speech_aeap"),
    *("app_voicemail", "app_voicemail_imap", "app_voicemail_odbc", "app_minivm", "app_festival"),
    *(
        "app_queue",
        "app_agent_pool",
        "app_followme",
        "app_directory",
        "app_alarmreceiver",
        "app_adsiprog",
    ),
    *("app_getcpeid", "app_sms", "app_zapateller", "app_statsd", "res_statsd", "func_odbc"),
    *("res_endpoint_stats", "res_chan_stats", "res_adsi", "res_fax", "res_fax_spandsp"),
    *("res_musiconhold", "app_amd"),
    *("cdr_csv", "cdr_custom", "cdr_manager", "cdr_odbc", "cdr_adaptive_odbc", "cdr_pgsql"),
    *("cdr_radius", "cdr_sqlite3_custom", "cdr_syslog", "cdr_tds", "cdr_beanstalkd"),
    *("cel_custom", "cel_manager", "cel_odbc", "cel_pgsql", "cel_radius", "cel_sqlite3_custom"),
    *("cel_tds", "cel_beanstalkd"),
)


@dataclass(frozen=True)
class Settings:
    """What may differ between instances. All paths are paths inside the root."""

    directories: Mapping[str, str]
    ports: PortBlock
    dialplan: str = DEFAULT_DIALPLAN
    elevenlabs: str | None = None
    codecs: Sequence[str] = DEFAULT_CODECS
    endpoint: Mapping[str, str] = field(default_factory=dict)
    verbose: int = 3
    debug: int = 1
    files: Mapping[str, str] = field(default_factory=dict)


def render(settings: Settings) -> dict[str, str]:
    """Return the text of every configuration file, by name; `settings.files` has the last word."""
    texts = {
        "asterisk.conf": _asterisk(settings),
        "modules.conf": _modules(),
        "logger.conf": LOGGER,
        "manager.conf": _manager(settings.ports.manager),
        "http.conf": _http(settings.ports.http),
        "pjsip.conf": _pjsip(settings.ports.sip, settings.codecs, settings.endpoint),
        "rtp.conf": _rtp(settings.ports.rtp),
        "extensions.conf": settings.dialplan,
        "indications.conf": INDICATIONS,
        **dict.fromkeys(EMPTY, ""),
        "cdr.conf": "[general]\nenable=no\n",
        "cel.conf": "[general]\nenable=no\n",
    }
    if settings.elevenlabs is not None:
        texts["elevenlabs.conf"] = settings.elevenlabs
    return {**texts, **settings.files}


def _asterisk(settings: Settings) -> str:
    lines = ["[directories]"]
    lines += [f"{name} => {settings.directories[name]}" for name in DIRECTORIES]
    lines += ["", "[options]", f"verbose = {settings.verbose}", f"debug = {settings.debug}"]
    lines += ["live_dangerously = yes", ""]
    return "\n".join(lines)


def _modules() -> str:
    noload = [f"noload = {module}.so" for module in USELESS_MODULES]
    return "\n".join(["[modules]", "autoload = yes", *noload, ""])


def _manager(port: int) -> str:
    return f"""\
[general]
enabled = yes
webenabled = yes
bindaddr = 127.0.0.1
port = {port}

[{MANAGER_USER}]
secret = {MANAGER_SECRET}
permit = 127.0.0.1/255.255.255.255
read = all
write = all
writetimeout = 5000
"""


def _http(port: int) -> str:
    return f"[general]\nenabled = yes\nbindaddr = 127.0.0.1\nbindport = {port}\n"


def _pjsip(port: int, codecs: Sequence[str], endpoint: Mapping[str, str]) -> str:
    options = "".join(f"{name} = {value}\n" for name, value in endpoint.items())
    return f"""\
[global]
type = global
user_agent = testbed
default_realm = testbed

[transport]
type = transport
protocol = udp
bind = 127.0.0.1:{port}

; Everyone who rings from loopback is this endpoint: no registration, no password.
[caller]
type = endpoint
transport = transport
context = {CONTEXT}
disallow = all
allow = {",".join(codecs)}
direct_media = no
rtp_symmetric = no
force_rport = yes
rewrite_contact = no
dtmf_mode = auto_info
timers = no
{options}
[caller]
type = identify
endpoint = caller
match = 127.0.0.1
"""


def _rtp(ports: range) -> str:
    return f"""\
[general]
rtpstart = {ports.start}
rtpend = {ports.stop - 1}
; Strict RTP drops packets while it learns where a caller sends from; here every sample counts.
strictrtp = no
icesupport = no
"""


MANAGER_USER = "testbed"
MANAGER_SECRET = "loopback"  # noqa: S105
"""No secret: the port is open to loopback only, and only as long as the instance runs."""

LOGGER = """\
[general]
dateformat = %F %T.%3q
[logfiles]
full.log = notice,warning,error,verbose,debug,dtmf
"""

INDICATIONS = """\
[general]
country = us
[us]
description = United States
ringcadence = 2000,4000
dial = 350+440
busy = 480+620/500,0/500
ring = 440+480/2000,0/4000
congestion = 480+620/250,0/250
"""

EMPTY = (
    *("acl.conf", "amd.conf", "ari.conf", "ccss.conf", "cli_aliases.conf", "codecs.conf"),
    *("confbridge.conf", "dnsmgr.conf", "enum.conf", "extconfig.conf", "features.conf"),
    *("pjproject.conf", "pjsip_notify.conf", "prometheus.conf", "resolver_unbound.conf"),
    *("res_http_media_cache.conf", "res_parking.conf", "sorcery.conf", "stasis.conf"),
    *("udptl.conf", "websocket_client.conf"),
)
"""Files whose absence would be logged as an error at every start."""

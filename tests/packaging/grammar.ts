/** What our units may say, for where systemd and podman cannot be asked. */

import type { Grammar } from "./unit-file.ts";

const BOOLEAN = /^(yes|no|true|false)$/;
const SECONDS = /^\d+$/;
const SPAN = /^\d+(ms|s|m|h)?$/;
const TEXT = /^\S.*$/;
const UNITS = /^[\w@-]+\.(target|service|socket)( [\w@-]+\.(target|service|socket))*$/;
/** Absolute, or beginning with a directory of systemd's; with a dash it may be missing. */
const PATH = /^-?(\/|%[hECS]\/)\S*$/;
const NAME = /^[a-z][a-z0-9-]*$/;
const CREDENTIAL = /^[A-Z_]+:(\/|%E\/)\S+$/;

const UNIT = {
  Description: TEXT,
  Documentation: /^(file|https?|man):\S+$/,
  Wants: UNITS,
  After: UNITS,
  StartLimitIntervalSec: SECONDS,
};

const SERVICE = {
  Restart: /^(always|on-failure)$/,
  RestartSec: SECONDS,
};

const INSTALL = { WantedBy: UNITS };

/** systemd.unit(5), systemd.service(5), systemd.exec(5): the keys we use. */
export const SERVICE_GRAMMAR: Grammar = {
  Unit: UNIT,
  Service: {
    ...SERVICE,
    Type: /^notify(-reload)?$/,
    NotifyAccess: /^all$/,
    ExecStart: /^(\/|%h\/)\S+( \S+)*$/,
    ExecStartPre: /^\/bin\/mkdir -p \/\S+$/,
    ExecReload: /^\/bin\/kill -HUP \$MAINPID$/,
    WatchdogSec: SECONDS,
    TimeoutStopSec: SECONDS,
    KillMode: /^mixed$/,
    DynamicUser: BOOLEAN,
    StateDirectory: NAME,
    CacheDirectory: NAME,
    ConfigurationDirectory: NAME,
    WorkingDirectory: PATH,
    Environment: /^[A-Za-z_]+=\S*$/,
    EnvironmentFile: /^-?(\/|%E\/)\S+$/,
    LoadCredential: CREDENTIAL,
    LoadCredentialEncrypted: CREDENTIAL,
    NoNewPrivileges: BOOLEAN,
    CapabilityBoundingSet: /^$/,
    AmbientCapabilities: /^$/,
    ProtectSystem: /^(yes|no|full|strict)$/,
    ProtectHome: /^(yes|no|read-only|tmpfs)$/,
    PrivateTmp: BOOLEAN,
    PrivateDevices: BOOLEAN,
    ProtectKernelTunables: BOOLEAN,
    ProtectKernelModules: BOOLEAN,
    ProtectKernelLogs: BOOLEAN,
    ProtectControlGroups: BOOLEAN,
    ProtectClock: BOOLEAN,
    ProtectHostname: BOOLEAN,
    RestrictAddressFamilies: /^AF_\w+( AF_\w+)*$/,
    RestrictNamespaces:
      /^(yes|(user|mnt|pid|ipc|uts|net|cgroup)( (user|mnt|pid|ipc|uts|net|cgroup))*)$/,
    RestrictRealtime: BOOLEAN,
    RestrictSUIDSGID: BOOLEAN,
    LockPersonality: BOOLEAN,
    SystemCallArchitectures: /^native$/,
    SystemCallFilter: /^@[a-z-]+( ~?@?[a-z-]+)*$/,
    UMask: /^0[0-7]{3}$/,
  },
  Install: INSTALL,
};

/** podman-systemd.unit(5), podman 4.6 and later: the keys we use. */
export const QUADLET_GRAMMAR: Grammar = {
  Unit: UNIT,
  Container: {
    Image: /^localhost\/[a-z0-9-]+:[a-z0-9.]+$/,
    ContainerName: NAME,
    PublishPort: /^127\.0\.0\.1:\d+:\d+$/,
    Volume: /^(\/[^:\s]+|%E\/[^:\s]+|[a-z][a-z0-9-]*):\/[^:\s]+(:(ro|rw|z|Z)(,(ro|rw|z|Z))*)?$/,
    Secret: /^[a-z]+,type=env,target=[A-Z_]+$/,
    UserNS: /^keep-id:uid=\d+,gid=\d+$/,
    RunInit: BOOLEAN,
    ReadOnly: BOOLEAN,
    NoNewPrivileges: BOOLEAN,
    DropCapability: /^(all|CAP_\w+)$/,
    LogDriver: /^journald$/,
    HealthCmd: /^\["CMD"(,"[^"]+")+\]$/,
    HealthInterval: SPAN,
    HealthTimeout: SPAN,
    HealthStartPeriod: SPAN,
    HealthRetries: SECONDS,
    HealthOnFailure: /^(none|kill|restart|stop)$/,
  },
  Service: SERVICE,
  Install: INSTALL,
};

//! Whole texts: what is written here is what people read and engines take.

use super::*;
use crate::digest::Encoding;
use crate::recipe::{Scope, parse};

const DB: &str = r#"
[base]
scratch = true
[vars]
level = "logical"
[service]
env     = { LEVEL = "{{ level }}", HOST = "${HOST:-here}" }
volumes = { data = "/var/lib/db" }
health  = { cmd = ["sh", "-c", "ready $PORT"], tcp = 5432, interval = "5s", timeout = "1500ms", start = "1m", retries = 4 }
secrets = { DB_PASSWORD = { file = "/run/secrets/db" } }
reload  = ["kill", "-HUP", "1"]
[service.container]
init     = true
tmpfs    = ["/tmp:mode=1777"]
cap_drop = ["ALL"]
"#;

const APP: &str = r#"
[base]
scratch = true
[service]
ports   = ["127.0.0.1:8080:80", "53/udp"]
after   = { app-migrate = "done" }
labels  = { "a.b" = "c: d" }
secrets = { DB_PASSWORD = { env = "PGPASSWORD" } }
health  = { http = "http://127.0.0.1:80/ready", interval = "10s" }
[service.job.migrate]
entrypoint = ["/bin/migrate", "--up"]
cmd        = ["100%", "$all"]
env        = { MODE = "once" }
after      = { db = "healthy" }
"#;

fn unit(name: &str, text: &str) -> Unit {
    let recipe = parse(&format!("recipes/shop/{name}/recipe.toml"), text).unwrap();
    let evaluated = recipe.variant(Encoding::V1, "prod").unwrap();
    Unit {
        name: name.to_owned(),
        image: format!("r.example/shop/{name}@sha256:00"),
        called: format!("r.example/shop/{name}@sha256:00"),
        service: evaluated.service_for(&Scope::default()).unwrap().unwrap(),
        mounts: Vec::new(),
        files: Vec::new(),
        user: "db".to_owned(),
        uid: Some(70),
        group: Some(70),
        exposed: if name == "db" { vec!["5432/tcp".to_owned()] } else { Vec::new() },
    }
}

fn stack(units: &[(&str, &str)]) -> Stack {
    let units = units.iter().map(|(name, text)| unit(name, text)).collect();
    Stack {
        name: "shop".to_owned(),
        variant: "prod".to_owned(),
        command: "cooper compose shop".to_owned(),
        units,
    }
}

fn faults(units: &[(&str, &str)]) -> Vec<String> {
    stack(units).errors().iter().map(ToString::to_string).collect()
}

#[test]
fn a_compose_file() {
    let mut stack = stack(&[("app", APP), ("db", DB)]);
    assert_eq!(stack.errors(), []);
    stack.units[0].mounts.push(Mount {
        source: "./recipes/shop/app/$html".to_owned(),
        target: "/srv".to_owned(),
        read_only: true,
    });
    stack.units[1].image = "sha256:11".to_owned();
    stack.units[1].called = "shop/db:prod".to_owned();
    let written = compose(&stack);
    assert_eq!(written.files.keys().collect::<Vec<_>>(), ["compose.yaml"]);
    let (head, body) = written.files["compose.yaml"].split_once("services:\n").unwrap();
    assert!(head.lines().all(|line| line.starts_with("# ")), "{head}");
    assert_eq!(
        body,
        r#"  app:
    image: "r.example/shop/app@sha256:00"
    environment:
      PGPASSWORD: "${DB_PASSWORD:?the secret DB_PASSWORD is not set}"
    volumes:
      - type: bind
        source: "./recipes/shop/app/$$html"
        target: /srv
        read_only: true
    ports: ["127.0.0.1:8080:80", "53/udp"]
    depends_on:
      app-migrate:
        condition: service_completed_successfully
    labels:
      a.b: "c: d"
  app-migrate:
    image: "r.example/shop/app@sha256:00"
    environment:
      MODE: once
      PGPASSWORD: "${DB_PASSWORD:?the secret DB_PASSWORD is not set}"
    volumes:
      - type: bind
        source: "./recipes/shop/app/$$html"
        target: /srv
        read_only: true
    entrypoint: ["/bin/migrate", "--up"]
    command: ["100%", "$$all"]
    depends_on:
      db:
        condition: service_healthy
    restart: "no"
  db:
    image: "sha256:11"
    x-image: "shop/db:prod"
    pull_policy: never
    environment:
      HOST: "${HOST:-here}"
      LEVEL: logical
    secrets:
      - source: DB_PASSWORD
        target: /run/secrets/db
    volumes:
      - type: volume
        source: db-data
        target: /var/lib/db
    healthcheck:
      test: ["CMD", "sh", "-c", "ready $$PORT"]
      interval: "5s"
      timeout: "1500ms"
      start_period: "60s"
      retries: 4
    cap_drop: ["ALL"]
    init: true
    tmpfs: ["/tmp:mode=1777"]
volumes:
  db-data: {}
secrets:
  DB_PASSWORD:
    file: "${COOPER_SECRETS:-./secrets}/DB_PASSWORD"
"#
    );
}

#[test]
fn manifests_for_a_cluster() {
    let db = DB.replace("${HOST:-here}", "$(here)");
    let written = kube(&stack(&[("app", APP), ("db", &db)])).unwrap();
    let text = &written.files["shop.yaml"];
    let documents: Vec<&str> = text.split("---\n").collect();
    let kinds: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("kind: ")).collect();
    assert_eq!(
        kinds,
        [
            "Deployment",
            "Service",
            "Job",
            "StatefulSet",
            "Service",
            "Service",
            "NetworkPolicy",
            "NetworkPolicy",
            "NetworkPolicy"
        ]
    );
    for part in [
        "httpGet:\n              path: /ready\n              port: 80\n            periodSeconds: 10",
        "- name: PGPASSWORD\n              valueFrom:\n                secretKeyRef:\n                  name: shop\n                  key: DB_PASSWORD",
        "- containerPort: 53\n              protocol: UDP",
    ] {
        assert!(documents[0].contains(part), "{part}\n{}", documents[0]);
    }
    assert!(documents[2].contains("args: [\"100%\", \"$$all\"]\n"), "{}", documents[2]);
    for part in [
        "tcpSocket:\n              port: 5432\n            periodSeconds: 5\n            timeoutSeconds: 2\n            failureThreshold: 16\n",
        "value: \"$$(here)\"",
        "mountPath: /run/secrets/db\n              subPath: DB_PASSWORD\n              readOnly: true",
        "mountPath: /tmp\n",
        "securityContext:\n        runAsNonRoot: true\n        runAsUser: 70\n        runAsGroup: 70\n        fsGroup: 70\n        \
         fsGroupChangePolicy: OnRootMismatch\n        seccompProfile:\n          type: RuntimeDefault\n",
        "livenessProbe:\n            tcpSocket:\n              port: 5432\n            periodSeconds: 5\n            \
         timeoutSeconds: 2\n            failureThreshold: 12\n",
        "serviceName: db-pods\n",
        "allowPrivilegeEscalation: false\n",
        "drop: [\"ALL\"]",
        "volumeClaimTemplates:",
    ] {
        assert!(documents[3].contains(part), "{part}\n{}", documents[3]);
    }
    assert!(documents[4].contains("port: 5432\n") && !documents[4].contains("clusterIP"), "{}", documents[4]);
    assert!(documents[5].contains("name: db-pods\n") && documents[5].contains("clusterIP: None\n"));
    // Asked whether it is there, not what it answers.
    assert!(
        documents[0].contains("livenessProbe:\n            tcpSocket:\n              port: 80\n"),
        "{}",
        documents[0]
    );
    assert_eq!(written.left_out, [""; 0]);
    let wrong = kube(&stack(&[("db", DB)])).unwrap_err();
    assert_eq!(wrong[0].to_string(), "\"${HOST:-here}\" is filled in by Compose only");
}

#[test]
fn units_for_systemd() {
    let db = DB.replace("${HOST:-here}", "50% of $5");
    let written = quadlet(&stack(&[("app", APP), ("db", &db)])).unwrap();
    let names: Vec<&str> = written.files.keys().map(String::as_str).collect();
    let wanted =
        ["shop-app-migrate.container", "shop-app.container", "shop-db-data.volume", "shop-db.container"];
    assert_eq!(names, [&wanted[..], &["shop.network"]].concat());
    assert_eq!(
        written.files["shop-db.container"].split_once('\n').unwrap().1,
        r#"[Unit]
Description=shop db (prod)

[Container]
Image=r.example/shop/db@sha256:00
ContainerName=shop-db
Network=shop.network:alias=db
Environment="HOST=50%% of $$5"
Environment="LEVEL=logical"
Secret=shop-DB_PASSWORD,type=mount,target=/run/secrets/db
Volume=shop-db-data.volume:/var/lib/db
Tmpfs=/tmp:mode=1777
DropCapability=ALL
RunInit=true
HealthCmd=["sh", "-c", "ready $$PORT"]
HealthInterval=5s
HealthTimeout=1500ms
HealthStartPeriod=60s
HealthRetries=4
Notify=healthy

[Service]
TimeoutStartSec=90
ExecReload=/usr/bin/podman exec shop-db "kill" "-HUP" "1"
Restart=on-failure

[Install]
WantedBy=default.target
"#
    );
    let job = &written.files["shop-app-migrate.container"];
    for line in [
        "Requires=shop-db.service",
        "Entrypoint=/bin/migrate",
        "Exec=\"--up\" \"100%%\" \"$$all\"",
        "Secret=shop-DB_PASSWORD,type=env,target=PGPASSWORD",
        "Type=oneshot",
    ] {
        assert!(job.lines().any(|own| own == line), "{line}\n{job}");
    }
}

#[test]
fn services_must_fit_together() {
    let after = |text: &str| format!("[base]\nscratch = true\n[service]\nafter = {{ {text} }}\n");
    assert_eq!(
        faults(&[("app", &after("dp = \"started\"")), ("db", DB)]),
        ["the stack shop has no service \"dp\""]
    );
    assert_eq!(
        faults(&[("a", &after("b = \"healthy\"")), ("b", &after(""))]),
        ["b is waited for until it is healthy, and nothing tells when it is"]
    );
    assert_eq!(
        faults(&[("a", &after("db = \"done\"")), ("db", DB)]),
        ["db is a service, which is never done"]
    );
    assert_eq!(
        faults(&[("a", &after("b = \"started\"")), ("b", &after("a = \"started\""))]),
        ["a and b wait for each other"]
    );
    assert_eq!(
        faults(&[(
            "a",
            "[base]\nscratch = true\n[service]\nenv = { DB_PASSWORD = \"hunter2\", X_PASS = \"${X}\" }\n"
        )]),
        ["DB_PASSWORD looks like a secret, and everybody who reads the recipe knows it"]
    );
    let below = "[base]\nscratch = true\n[service]\nvolumes = { d = \"/run/s\" }\nsecrets = { A = { file = \"/run/s/a\" } }\n";
    assert_eq!(
        faults(&[("a", below)]),
        ["/run/s/a lies below /run/s, a volume of [service], and would be hidden"]
    );
    let ports = "[base]\nscratch = true\n[service]\nports = [\"80:http\", \"${P:-1}:80\", \"1-3:1-3\"]\n";
    assert_eq!(faults(&[("a", ports)]), ["\"80:http\" is no port"]);
}

/// A recipe with this `[service]`.
fn recipe(service: &str) -> String {
    format!("[base]\nscratch = true\n[service]\n{service}\n")
}

/// What `--quadlet` makes of it.
fn container(service: &str) -> String {
    quadlet(&stack(&[("a", &recipe(service))])).unwrap().files["shop-a.container"].clone()
}

fn cluster(stack: &Stack) -> (String, Vec<String>) {
    let written = kube(stack).unwrap();
    (written.files["shop.yaml"].clone(), written.left_out)
}

#[test]
fn dollars_are_what_they_are() {
    let text =
        recipe("env = { A = 'a$b$$c${D:-$}' }\nlabels = { L = '$x' }\ncontainer = { hostname = '$h${I}' }");
    let text = compose(&stack(&[("a", &text)])).files["compose.yaml"].clone();
    for part in ["A: \"a$$b$$$$c${D:-$$}\"", "L: \"$$x\"", "hostname: \"$$h${I}\""] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    let text = "env = { A = '$$' }\nhealth = { cmd = ['$$'] }";
    let (text, _) = cluster(&stack(&[("a", &recipe(text))]));
    assert!(text.contains("value: \"$$$$\"") && text.contains("command: [\"$$$$\"]"), "{text}");
    assert!(container("env = { A = '$$' }").contains("\"A=$$$$\""));
}

#[test]
fn names_that_meet() {
    let job = recipe("job.migrate = { cmd = ['x'] }");
    let stack_ = stack(&[("web", &job), ("web-migrate", &recipe(""))]);
    let errors = stack_.errors();
    assert_eq!(
        errors[0].to_string(),
        "the job migrate of web and the recipe web-migrate are both called \"web-migrate\""
    );
    assert!(errors[0].at.is_some());
    let [one, other] = ["b-c", "c"].map(|name| recipe(&format!("volumes = {{ {name} = '/x' }}")));
    assert_eq!(
        faults(&[("a", &one), ("a-b", &other)]),
        ["the volume b-c of a and the volume c of a-b are both called \"a-b-c\""]
    );
    let twice = recipe("env = { A = '1' }\nsecrets = { S = { env = 'A' } }\njob.j = { cmd = ['x'] }");
    assert_eq!(faults(&[("a", &twice)]), ["a variable of a and the secret S of a are both called \"A\""]);
    let dots = stack(&[("a_b", &recipe("")), ("a.b", &recipe(""))]);
    assert_eq!(dots.errors(), []);
    assert_eq!(
        kube(&dots).unwrap_err()[0].to_string(),
        "the recipe a_b and the recipe a.b are both called \"a-b\""
    );
    let claims =
        stack(&[("b-c", &recipe("volumes = { a = '/x' }")), ("c", &recipe("volumes = { a-b = '/x' }"))]);
    assert_eq!(claims.errors(), []);
    assert!(kube(&claims).unwrap_err()[0].to_string().ends_with("are both called \"a-b-c-0\""));
}

#[test]
fn names_that_a_cluster_has_not() {
    let long = "l".repeat(53);
    let (longer, state) = ("l".repeat(64), recipe("volumes = { d = '/d' }"));
    let wrong = |stack: &Stack| -> Vec<String> {
        kube(stack).err().into_iter().flatten().map(|error| error.to_string()).collect()
    };
    for (name, text) in [
        ("2fa", recipe("")),
        ("Web", recipe("")),
        ("web-", recipe("")),
        ("_web", recipe("")),
        (&longer, recipe("")),
        // Of its pods' label.
        (&long, state),
    ] {
        let stack = stack(&[(name, &text)]);
        assert_eq!(stack.errors(), [], "{name}");
        let errors = wrong(&stack);
        assert!(errors[0].starts_with(&format!("the recipe {name} would be called ")), "{errors:?}");
    }
    for name in ["w", "web-2", "a_b.c", &long, &"l".repeat(63)] {
        assert_eq!(wrong(&stack(&[(name, &recipe(""))])), [""; 0], "{name}");
    }
    // With its job, a name may be too long; a stack's is the Secret's.
    let job = recipe("job.migrate = { cmd = ['x'] }");
    let errors = kube(&stack(&[("l".repeat(56).as_str(), &job)])).unwrap_err();
    assert!(errors[0].to_string().starts_with("the job migrate of lll") && errors[0].at.is_some());
    let mut stack = stack(&[("a", &recipe(""))]);
    stack.name = "1st".to_owned();
    assert!(wrong(&stack)[0].starts_with("the stack 1st would be called \"1st\""));
}

#[test]
fn ports_are_ports() {
    let good = [
        "8080",
        "80:8080",
        "127.0.0.1:53:53/udp",
        "[::1]:80:80",
        "::1:80:80",
        "127.0.0.1::80",
        "1-3:1-3/tcp",
        "1-9:80",
    ];
    for text in good {
        assert_eq!(faults(&[("a", &recipe(&format!("ports = ['{text}']")))]), [""; 0], "{text}");
    }
    for text in
        ["abc:80", "80/foo", "80-", "80:80/", "0", "+80", "65536", ":80", "3-1", "1-2:1-3", "x:80:80", ""]
    {
        let wanted = format!("{text:?} is no port");
        assert_eq!(faults(&[("a", &recipe(&format!("ports = ['{text}']")))]), [wanted], "{text}");
    }
    for text in ["abc", "99999"] {
        let faults = faults(&[("a", &recipe(&format!("health.tcp = '{text}'")))]);
        assert_eq!(faults, [format!("{text:?} is no port")]);
    }
}

#[test]
fn commands_of_jobs_are_their_own() {
    let text = recipe("container = { entrypoint = ['x'] }\njob.j = { cmd = ['y'] }");
    assert_eq!(
        faults(&[("a", &text)]),
        ["entrypoint in [service.container] would take the place of every job's own command"]
    );
}

#[test]
fn health_as_podman_reads_it() {
    assert!(container("health = { cmd = ['/ready'] }").contains("\nHealthCmd=CMD /ready\n"));
    assert!(container("health = { cmd = ['/a b'] }").contains("\nHealthCmd=[\"'/a b'\"]\n"));
    let text = container("health = { cmd = ['sh', '-c', \"a\\tb\\u0001\"] }");
    assert!(text.contains("\nHealthCmd=[\"sh\", \"-c\", \"a\\u0009b\\u0001\"]\n"), "{text}");
    let db =
        recipe("health = { cmd = ['/r'], start = '1m', interval = '20s', timeout = '1500ms', retries = 4 }");
    let units = stack(&[("a", &recipe("after = { db = 'healthy' }")), ("db", &db)]);
    let text = quadlet(&units).unwrap().files["shop-db.container"].clone();
    assert!(text.contains("\nTimeoutStartSec=146\n"), "{text}");
    assert!(!container("health = { cmd = ['/r'] }").contains("TimeoutStartSec"));
}

#[test]
fn a_unit_has_no_lines_of_others() {
    let text = container("env = { A = \"a\\nPodmanArgs=--privileged\\u0007\" }");
    assert!(text.contains("Environment=\"A=a\\nPodmanArgs=--privileged\\x07\"\n"), "{text}");
    for service in
        ["job.j.entrypoint = [\"one\\nPodmanArgs=--privileged\"]", "container.tmpfs = \"/t\\nX=y\""]
    {
        let errors = quadlet(&stack(&[("a", &recipe(service))])).unwrap_err();
        assert!(errors[0].to_string().contains("has a line end"), "{}", errors[0]);
    }
}

#[test]
fn what_a_cluster_is_not_told() {
    let service = "volumes = { d = '/d' }\nhealth.http = 'localhost/ready'\njob.j = { cmd = ['x'] }\n\
        container = { stop_grace_period = '1500ms', restart = 'no', security_opt = ['no-new-privileges:false', \
        'seccomp=x.json'], tmpfs = ['/t:size=64m,mode=0700', '/u:size=1g'] }";
    let mut stack = stack(&[("a", &recipe(service))]);
    (stack.units[0].user, stack.units[0].uid, stack.units[0].group) = ("1000".to_owned(), None, None);
    let (text, left_out) = cluster(&stack);
    assert_eq!(
        left_out,
        [
            "a: container.restart \"no\"",
            "a: container.security_opt \"seccomp=x.json\"",
            "a: container.tmpfs \"/t:size=64m,mode=0700\"",
            "a: health.http \"localhost/ready\"",
            "a: runAsNonRoot (the user \"1000\" has no known number)",
            "a: write access to its volumes (the user \"1000\" has no known group)",
            "a: volumes of the job j",
        ]
    );
    assert!(
        text.contains("terminationGracePeriodSeconds: 2\n") && text.contains("sizeLimit: \"64Mi\"\n"),
        "{text}"
    );
    assert!(text.contains("allowPrivilegeEscalation: true\n"), "{text}");
    for word in ["runAsNonRoot", "Probe", "fsGroup", "persistentVolumeClaim"] {
        assert!(!text.contains(word), "{word}\n{text}");
    }
    let job = text.split("---\n").find(|document| document.contains("kind: Job")).unwrap();
    assert!(!job.contains("mountPath: /d\n"), "{job}");
    // Root needs no group.
    stack.units[0].user = String::new();
    assert!(!cluster(&stack).1.iter().any(|what| what.contains("write access")));
}

#[test]
fn who_reaches_whom() {
    let api = recipe(
        "ports = ['80', '127.0.0.1:90:90', '100:100/udp']\nprivate = [4445]\nafter = { api-init = 'done' }\n\
        job.init = { cmd = ['x'], after = { db = 'started' } }",
    );
    let web = recipe("after = { api = 'started' }\ncalls = ['none']");
    let mut stack = stack(&[
        ("api", &api),
        ("db", &recipe("volumes = { d = '/d' }")),
        ("none", &recipe("")),
        ("other", &recipe("")),
        ("web", &web),
    ]);
    stack.units[0].exposed = vec!["4445/tcp".to_owned(), "80/tcp".to_owned(), "70/tcp".to_owned()];
    let (text, _) = cluster(&stack);
    let one = |kind: &str, name: &str| {
        let head = format!("kind: {kind}\nmetadata:\n  name: {name}\n");
        text.split("---\n").find(|document| document.contains(&head)).unwrap_or_default().to_owned()
    };
    let numbers = |document: &str| -> Vec<u16> {
        let lines = document.lines().filter_map(|line| line.trim().strip_prefix("- ").or(Some(line.trim())));
        lines.filter_map(|line| line.strip_prefix("port: ")?.parse().ok()).collect()
    };
    // The private port is in no Service; whoever has the pod's own address may ask for it.
    let service = one("Service", "api");
    assert_eq!(numbers(&service), [70, 80, 90, 100]);
    assert!(service.contains("clusterIP: None\n") && !text.contains("name: tcp-4445"), "{service}");
    let policy = one("NetworkPolicy", "api");
    let (anybody, callers) = policy.split_once("from:").unwrap();
    assert_eq!(numbers(anybody), [80, 100], "neither for this machine alone, nor unpublished");
    assert_eq!(numbers(callers), [70, 80, 90, 100, 4445]);
    assert!(callers.contains("component: web\n") && !callers.contains("component: other"), "{callers}");
    // A service waits as its jobs do, and they are of its component.
    assert!(one("NetworkPolicy", "db").contains("app.kubernetes.io/component: api\n"));
    assert!(one("Job", "api-init").contains("app.kubernetes.io/component: api\n"));
    // Nobody says a port of it, but somebody calls it: at its pod's address, at any.
    assert!(one("Service", "none").contains("clusterIP: None\n"));
    assert_eq!(numbers(&one("NetworkPolicy", "none")), [0_u16; 0]);
    assert_eq!((one("Service", "other"), one("NetworkPolicy", "other")), Default::default());
    let closed = one("NetworkPolicy", "shop.closed");
    assert!(closed.contains("policyTypes: [\"Ingress\"]") && !closed.contains("ingress:"), "{closed}");
    // One of the names that it makes itself.
    stack.units[3].name = "db-pods".to_owned();
    let errors = kube(&stack).unwrap_err();
    assert!(errors[0].to_string().ends_with("are both called \"db-pods\""), "{}", errors[0]);
}

#[test]
fn limits_and_rights() {
    let limits = "container = { shm_size = '256m', mem_limit = '512m', mem_reservation = 268435456, cpus = 1.5, pids_limit = 200, \
        logging = { driver = 'json-file', options = { max-size = '10m' } }, cap_drop = ['CHOWN'], cap_add = ['NET_BIND_SERVICE'] }";
    let units = stack(&[("a", &recipe(limits))]);
    let (text, left_out) = cluster(&units);
    assert_eq!(left_out, [""; 0]);
    let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
    for part in [
        "- name: stack-shm emptyDir: medium: Memory sizeLimit: \"256Mi\"",
        "- name: stack-shm mountPath: /dev/shm",
        "limits: memory: \"512Mi\" cpu: \"1.5\"",
        "requests: memory: \"268435456\"",
        "add: [\"NET_BIND_SERVICE\"] drop: [\"ALL\"]",
    ] {
        assert!(flat.contains(part), "{part}\n{text}");
    }
    let written = quadlet(&units).unwrap();
    let text = &written.files["shop-a.container"];
    assert!(
        text.contains(
            "PodmanArgs=\"--memory=512m\"\nPodmanArgs=\"--cpus=1.5\"\nPodmanArgs=\"--pids-limit=200\"\n"
        ),
        "{text}"
    );
    assert_eq!(written.left_out, ["a: container.mem_reservation"]);
    for (key, value) in [("mem_limit", "lots"), ("cpus", "half"), ("mem_limit", "1.5g"), ("cpus", ".5")] {
        let (text, left_out) =
            cluster(&stack(&[("a", &recipe(&format!("container = {{ {key} = '{value}' }}")))]));
        assert_eq!(left_out, [format!("a: container.{key} {value:?}")]);
        assert!(!text.contains("resources:"), "{text}");
    }
    // Root keeps what its entrypoint may need; who said it, loses it.
    let mut root = stack(&[("a", &recipe("container = { cap_drop = ['NET_RAW'] }"))]);
    (root.units[0].user, root.units[0].uid) = (String::new(), Some(0));
    let (text, left_out) = cluster(&root);
    assert!(text.contains("drop: [\"NET_RAW\"]") || text.contains("drop: [NET_RAW]"), "{text}");
    assert!(!text.contains("runAsNonRoot") && !text.contains("allowPrivilegeEscalation"), "{text}");
    assert!(left_out[0].starts_with("a: runAsNonRoot (the image runs as root"), "{left_out:?}");
}

#[test]
fn restarts_and_what_units_cannot_say() {
    let text = "container = { restart = 'always', stop_grace_period = '1500ms' }";
    assert!(container(text).contains("\nRestart=always\n") && container(text).contains("StopTimeout=2\n"));
    let text = recipe("container = { restart = 'on-failure:3', stop_grace_period = '1d' }");
    let written = quadlet(&stack(&[("a", &text)])).unwrap();
    assert_eq!(
        written.left_out,
        ["a: container.restart \"on-failure:3\"", "a: container.stop_grace_period \"1d\""]
    );
    for (url, known) in [
        ("https://h/x", true),
        ("http://[::1]:80/", true),
        ("http://[::1]/", true),
        ("ftp://h/", false),
        ("http:///x", false),
        ("http://h:0/", false),
    ] {
        let text = recipe(&format!("health.http = '{url}'"));
        assert_eq!(cluster(&stack(&[("a", &text)])).1.is_empty(), known, "{url}");
    }
}

#[test]
fn no_value_of_a_unit_swallows_the_next_line() {
    // Where nothing can be quoted.
    for (service, what) in [
        ("container.tmpfs = '/run\\'\ncontainer.cap_drop = ['ALL']", "a backslash at its end"),
        ("container.cap_add = ['X\\']", "a backslash at its end"),
        ("container.shm_size = '1g\\\\'", "a backslash at its end"),
        ("volumes = { d = '/d\\' }", "a backslash at its end"),
        ("secrets = { A = { file = '/run/a\\' } }", "a backslash at its end"),
        ("job.j.entrypoint = ['/bin/j\\']", "a backslash at its end"),
        ("container.tmpfs = ' /run'", "a blank at its beginning or end"),
        ("container.cap_drop = [\"ALL\\t\"]", "a line end"),
        ("container.cap_drop = [\"A\\rB\"]", "a line end"),
        ("container.tmpfs = \"/r\\u202Eun\"", "a line end or another character that can't be seen"),
        ("volumes = { d = '/d:U' }", "a colon or comma"),
        ("secrets = { A = { file = '/run/a,uid=0' } }", "a colon or comma"),
    ] {
        let errors = quadlet(&stack(&[("a", &recipe(service))])).unwrap_err();
        assert!(errors[0].to_string().contains(what), "{service}: {}", errors[0]);
        assert!(errors[0].at.is_some(), "{service}");
    }
    for (source, target) in
        [("./a\\", "/x"), ("./a", "/x\\"), ("./a:b", "/x"), ("./a", "/x\ny"), (" ./a", "/x")]
    {
        let mut stack = stack(&[("a", &recipe(""))]);
        stack.units[0].mounts.push(Mount { source: source.into(), target: target.into(), read_only: true });
        assert!(quadlet(&stack).is_err(), "{source} {target}");
    }
    // And where it can.
    let service = "env = { A = 'x\\', B = '# \"b\" %h $HOME ', C = ';c' }\nlabels = { l = 'y\\' }\nhealth = { cmd = ['/r\\'] }\n\
        reload = ['r\\']\ncontainer = { cap_drop = ['ALL'], security_opt = ['label=z\\'] }\njob.j.cmd = ['k\\']";
    let units = stack(&[("a", &recipe(service))]);
    for (name, text) in &quadlet(&units).unwrap().files {
        assert!(text.lines().all(|line| !line.ends_with('\\')), "{name}\n{text}");
    }
    let text = &quadlet(&units).unwrap().files["shop-a.container"];
    for line in [
        "Environment=\"A=x\\\\\"",
        "Environment=\"B=# \\\"b\\\" %%h $$HOME \"",
        "Environment=\"C=;c\"",
        "Label=\"l=y\\\\\"",
        "HealthCmd=[\"'/r\\\\'\"]",
        "DropCapability=ALL",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
}

#[test]
fn yaml_says_everything() {
    let text = "env = { A = \"a\\u202Eb\\u2066\\u200F\\uFEFF\\uFFFE\\u0085\\u2028\" }\ncontainer = { x-n = [inf, -inf, nan, 1.5] }";
    let text = compose(&stack(&[("a", &recipe(text))])).files["compose.yaml"].clone();
    assert!(text.contains("A: \"a\\u202eb\\u2066\\u200f\\ufeff\\ufffe\\u0085\\u2028\"\n"), "{text}");
    assert!(text.contains("x-n: [.inf, -.inf, .nan, 1.5]\n"), "{text}");
}

/// With the stack of a thread that has none to spare.
#[test]
fn thousands_wait_for_each_other() {
    let count = 22_000;
    let go = move || {
        let after = |next: usize| {
            let at = crate::recipe::At { file: "r".into(), range: 0..0 };
            BTreeMap::from([(format!("u{next:05}"), Spanned { value: crate::recipe::After::Started, at })])
        };
        let one = unit("u", &recipe(""));
        let units = (0..count).map(|number| {
            let mut unit = Unit { name: format!("u{number:05}"), ..one.clone() };
            unit.service.after = if number + 1 < count { after(number + 1) } else { BTreeMap::new() };
            unit
        });
        let mut stack = Stack { name: "shop".into(), units: units.collect(), ..Stack::default() };
        assert_eq!(stack.errors(), []);
        assert_eq!(quadlet(&stack).unwrap().files.len(), count + 1);
        stack.units[count - 1].service.after = after(0);
        let errors = stack.errors();
        assert_eq!(errors.len(), 1);
        assert!(
            errors[0].to_string().starts_with("u00000 and u00001 and u00002 and u00003 and 21992 others and")
        );
        // Each knows nobody.
        stack.units.iter_mut().for_each(|unit| unit.service.after = after(count));
        assert_eq!(stack.errors().len(), 100);
    };
    let begun = std::time::Instant::now();
    std::thread::Builder::new().stack_size(256 << 10).spawn(go).unwrap().join().unwrap();
    assert!(begun.elapsed().as_secs() < 60, "{:?}", begun.elapsed());
}

//! What entries make of a base, beside what `docker build` makes of a Dockerfile that says the same: every path of both
//! images, its kind, bytes, mode, owner, link target and file capabilities. Times are Cooper's own.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::engines::{self, Engine, PLATFORM};
use super::listing::Listing;
use super::registry::Registry;
use super::support::{Layout, Test, gzip, tar};

const BASE: &str = "d 0755 0:0 bin
l bin/sh busybox
l bin/chmod busybox
l bin/chown busybox
l bin/cat busybox
l bin/ln busybox
l bin/mkdir busybox
l bin/rm busybox
l bin/sed busybox
l bin/tar busybox
d 0755 0:0 etc
f 0644 0:0 etc/passwd root:x:0:0::/root:/bin/sh\\nweb:x:33:34::/:\\n
f 0644 0:0 etc/group root:x:0:\\nwww:x:34:\\n
d 0750 33:34 etc/app
f 0640 33:34 etc/app/app.conf port = 1\\nhost = a\\nport = 1\\n
l etc/app/link.conf app.conf
d 0755 0:0 etc/ssl
d 0755 0:0 etc/ssl/certs
f 0644 0:0 etc/ssl/certs/ca-certificates.crt -----BEGIN CERTIFICATE-----\\nold\\n
l lib usr/lib
d 1777 0:0 tmp
d 0755 0:0 usr
d 0755 0:0 usr/lib
d 0755 0:0 var
d 0755 0:0 var/lib
d 0700 0:0 var/lib/app
f 0644 0:0 var/lib/app/data one
h var/lib/app/again var/lib/app/data
d 0755 0:0 var/lib/app/sub
f 4755 7:8 var/lib/app/sub/x two
";

/// CAP_NET_RAW, effective and permitted.
const CAPABILITY: &str = "security.capability=0100000200200000000000000000000000000000";

const OTHER: &str = "d 0755 0:0 opt
d 0750 7:8 opt/lib
f 0644 0:0 opt/lib/a a
h opt/lib/b opt/lib/a
l opt/lib/c a
d 0700 0:0 opt/lib/sub
f 4755 7:8 opt/tool the tool
l opt/alias tool
f 0755,CAPABILITY 0:0 opt/ping ping
";

const ARCHIVE: &str = "d 0755 0:0 app-1
f 0755 0:0 app-1/run #!/bin/sh\\n
f 0644 0:0 app-1/readme read me
h app-1/other app-1/readme
l app-1/latest readme
d 0750 0:0 app-1/conf
f 0600 0:0 app-1/conf/x x
";

struct Case {
    name: &'static str,
    /// Of the recipe.
    entries: &'static str,
    /// What follows `FROM base`.
    dockerfile: &'static str,
    /// Where Docker does otherwise on purpose or by mistake: a path, what it is here, what it is there.
    but: &'static [(&'static str, &'static str, &'static str)],
}

const fn case(name: &'static str, entries: &'static str, dockerfile: &'static str) -> Case {
    Case { name, entries, dockerfile, but: &[] }
}

const CASES: [Case; 36] = [
    case("file", "[[file]]\nfrom = 'a.txt'\nto = '/srv/a.txt'", "COPY a.txt /srv/a.txt"),
    case("executable", "[[file]]\nfrom = 'run.sh'\nto = '/usr/bin/run'", "COPY run.sh /usr/bin/run"),
    case("list", "[[file]]\nfrom = ['a.txt', 'run.sh']\nto = '/srv/'", "COPY a.txt run.sh /srv/"),
    case("directory", "[[file]]\nfrom = 'tree'\nto = '/opt/tree/'", "COPY tree /opt/tree/"),
    case("into-a-directory", "[[file]]\nfrom = 'tree'\nto = '/etc/app/'", "COPY tree /etc/app/"),
    case("glob", "[[file]]\nfrom = 'conf/*.conf'\nto = '/etc/conf/'", "COPY conf/*.conf /etc/conf/"),
    case("rename", "[[file]]\nfrom = 'a.txt'\nto = '/etc/app/app.conf'", "COPY a.txt /etc/app/app.conf"),
    case("through-a-link", "[[file]]\nfrom = 'a.txt'\nto = '/lib/a.txt'", "COPY a.txt /lib/a.txt"),
    case(
        "mode",
        "[[file]]\nfrom = 'a.txt'\nto = '/etc/a'\nmode = '4750'",
        "COPY a.txt /etc/a\nRUN chmod 4750 /etc/a",
    ),
    Case {
        // A directory that is there keeps what it has, also where the source has one of that name.
        but: &[("var/lib/app/sub", "d 0755 0:0", "d 0755 33:34")],
        ..case(
            "owner-by-name",
            "[[file]]\nfrom = 'tree'\nto = '/var/lib/app/'\nowner = 'web:www'",
            "COPY --chown=web:www tree /var/lib/app/",
        )
    },
    case(
        "owner-by-number",
        "[[file]]\nfrom = 'a.txt'\nto = '/etc/a.txt'\nowner = '1000:2000'",
        "COPY --chown=1000:2000 a.txt /etc/a.txt",
    ),
    Case {
        // Docker gives them to the file's owner, but not a directory's.
        but: &[("srv", "d 0755 0:0", "d 0755 33:34"), ("srv/new", "d 0755 0:0", "d 0755 33:34")],
        ..case(
            "owner-of-what-is-above",
            "[[file]]\nfrom = 'a.txt'\nto = '/srv/new/a.txt'\nowner = 'web:www'",
            "COPY --chown=web:www a.txt /srv/new/a.txt",
        )
    },
    case("text", "[[file]]\ntext = 'a\\nb'\nto = '/etc/motd'", "RUN printf '%s' 'a\\nb' > /etc/motd"),
    case(
        "template",
        "[[file]]\ntext = 'host = {{ name }}'\ntemplate = true\nto = '/etc/name'",
        "RUN printf 'host = template' > /etc/name",
    ),
    case(
        "dir",
        "[[dir]]\npath = '/var/cache/app'\nowner = 'web:www'\nmode = '0750'",
        "RUN mkdir -p /var/cache/app && chown web:www /var/cache/app && chmod 0750 /var/cache/app",
    ),
    case("dir-of-the-base", "[[dir]]\npath = '/etc/app'\nmode = '0711'", "RUN chmod 0711 /etc/app"),
    case(
        "link",
        "[[link]]\npath = '/etc/localtime'\ntarget = '/usr/share/zoneinfo/UTC'\n[[link]]\npath = '/lib/x'\ntarget = '../bin/sh'",
        "RUN ln -s /usr/share/zoneinfo/UTC /etc/localtime && ln -s ../bin/sh /lib/x",
    ),
    case(
        "hard-link",
        "[[file]]\nfrom = 'a.txt'\nto = '/srv/a'\n[[link]]\npath = '/srv/b'\ntarget = '/srv/a'\nhard = true",
        "COPY a.txt /srv/a\nRUN ln /srv/a /srv/b",
    ),
    case("remove", "[[remove]]\npath = '/etc/app/*.conf'", "RUN rm /etc/app/*.conf"),
    case("remove-a-directory", "[[remove]]\npath = '/var/lib/app'", "RUN rm -r /var/lib/app"),
    case(
        "remove-and-write",
        "[[remove]]\npath = '/etc/app/app.conf'\n[[file]]\nfrom = 'conf'\nto = '/etc/app/app.conf/'",
        "RUN rm /etc/app/app.conf\nCOPY conf /etc/app/app.conf/",
    ),
    case(
        "replace-a-directory",
        "[[file]]\nfrom = 'conf'\nto = '/var/lib/app/'\nreplace = true",
        "RUN rm -r /var/lib/app\nCOPY conf /var/lib/app/",
    ),
    case(
        "append",
        "[[edit]]\npath = '/etc/app/app.conf'\nappend = 'more = yes'",
        "RUN echo 'more = yes' >> /etc/app/app.conf",
    ),
    case(
        "prepend",
        "[[edit]]\npath = '/etc/app/link.conf'\nprepend = 'first = yes'",
        "RUN f=$(echo first = yes; cat /etc/app/app.conf); echo \"$f\" > /etc/app/app.conf",
    ),
    case(
        "edit",
        "[[edit]]\npath = '/etc/app/app.conf'\nreplace = 'port = 1'\nwith = 'port = 2'\ncount = 2",
        "RUN f=$(sed 's/port = 1/port = 2/' /etc/app/app.conf); echo \"$f\" > /etc/app/app.conf",
    ),
    Case {
        // Linux takes setuid away with the owner; an entry says what it changes.
        but: &[("var/lib/app/sub/x", "f 4755 33:34 two", "f 0755 33:34 two")],
        ..case(
            "owner-recursive",
            "[[owner]]\npath = '/var/lib/app'\nowner = 'web:www'\nmode = '0711'\nrecursive = true",
            "RUN chown -R web:www /var/lib/app && chmod 0711 /var/lib/app",
        )
    },
    case(
        "user",
        "[[user]]\nname = 'app'\nuid = 1000\nhome = '/srv'\n[[file]]\nfrom = 'a.txt'\nto = '/etc/a'\nowner = 'app'",
        "RUN echo app:x:1000:1000::/srv:/sbin/nologin >> /etc/passwd && echo app:x:1000: >> /etc/group
COPY --chown=app:app a.txt /etc/a",
    ),
    case(
        "group",
        "[[group]]\nname = 'ops'\ngid = 2000\n[[dir]]\npath = '/usr/lib'\nowner = 'web:ops'",
        "RUN echo ops:x:2000: >> /etc/group && chown web:ops /usr/lib",
    ),
    case("unpack", "[[file]]\nfrom = 'app.tar.gz'\nunpack = true\nto = '/opt/'", "ADD app.tar.gz /opt/"),
    case(
        "strip",
        "[[file]]\nfrom = 'app.tar.gz'\nunpack = true\nstrip = 1\nto = '/usr/lib/app/'",
        "COPY app.tar.gz /tmp/
RUN mkdir /usr/lib/app && tar xzf /tmp/app.tar.gz -C /usr/lib/app --strip-components=1 && rm /tmp/app.tar.gz",
    ),
    case(
        "fetch",
        "[[file]]\nfetch = '{url}'\nsha256 = '{sha256}'\nto = '/usr/lib/x.jar'\nmode = '0600'",
        "ADD {url} /usr/lib/x.jar",
    ),
    case(
        "input",
        "[input.war]\npath = 'made/tree'\n[[file]]\ninput = 'war'\nto = '/opt/war/'",
        "COPY tree /opt/war/",
    ),
    case(
        "out-of-an-image",
        "[[file]]\nimage = '{other}'\npath = '/opt/tool'\nto = '/usr/bin/tool'
[[file]]\nimage = '{other}'\npath = '/opt/lib'\nto = '/etc/app/'",
        "COPY --from={other-there} /opt/tool /usr/bin/tool\nCOPY --from={other-there} /opt/lib /etc/app/",
    ),
    Case {
        // Docker 20.10 loses it.
        but: &[("usr/bin/ping", "f 0755,CAPABILITY 0:0 ping", "f 0755 0:0 ping")],
        ..case(
            "capabilities-out-of-an-image",
            "[[file]]\nimage = '{other}'\npath = '/opt/ping'\nto = '/usr/bin/ping'",
            "COPY --from={other-there} /opt/ping /usr/bin/ping",
        )
    },
    case(
        "out-of-a-recipe",
        "[[file]]\nrecipe = 't/dir'\npath = '/var/cache'\nto = '/usr/lib/'",
        "RUN mkdir -p /var/cache/app && chown web:www /var/cache/app && chmod 0750 /var/cache/app
FROM {base}\nCOPY --from=0 /var/cache /usr/lib/",
    ),
    case(
        "ca",
        "[[ca]]\nfrom = 'site.pem'",
        "COPY site.pem /tmp/\nRUN cat /tmp/site.pem >> /etc/ssl/certs/ca-certificates.crt && rm /tmp/site.pem",
    ),
];

/// A shell for the base, of this machine.
fn busybox() -> Option<Vec<u8>> {
    if !engines::installed(&["busybox"]) {
        return None;
    }
    let path = ["/bin/busybox", "/usr/bin/busybox"].into_iter().find(|path| Path::new(path).is_file())?;
    let bytes = fs::read(path).unwrap();
    // A program that isn't static names its loader.
    if bytes.windows(7).any(|bytes| bytes == b"/ld-lin") {
        engines::skipped("busybox is not static");
        return None;
    }
    Some(bytes)
}

/// One tar: what the tree says, and the shell.
fn base(busybox: &[u8]) -> Vec<u8> {
    let mut header = ::tar::Header::new_ustar();
    header.set_size(busybox.len() as u64);
    header.set_mode(0o755);
    header.set_uid(0);
    header.set_gid(0);
    let tree = tar(BASE);
    let mut both = ::tar::Builder::new(tree[..tree.len() - 1024].to_vec());
    both.append_data(&mut header, "bin/busybox", busybox).unwrap();
    both.into_inner().unwrap()
}

/// What recipes and Dockerfiles copy. Docker takes modes from the checkout: they are what Cooper gives.
fn sources(directory: &Path) {
    for (name, mode, text) in [
        ("a.txt", 0o644, "a\n"),
        ("run.sh", 0o755, "#!/bin/sh\n"),
        ("conf/one.conf", 0o644, "1"),
        ("conf/two.conf", 0o644, "2"),
        ("conf/three.txt", 0o644, "3"),
        ("tree/x", 0o644, "x"),
        ("tree/.dot", 0o644, "dot"),
        ("tree/sub/deep", 0o755, "deep"),
        ("site.pem", 0o644, "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n"),
    ] {
        let path = directory.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }
    fs::create_dir_all(directory.join("tree/empty")).unwrap();
    symlink("sub/deep", directory.join("tree/link")).unwrap();
    for name in ["conf", "tree", "tree/sub", "tree/empty"] {
        fs::set_permissions(directory.join(name), fs::Permissions::from_mode(0o755)).unwrap();
    }
    fs::write(directory.join("app.tar.gz"), gzip(&tar(ARCHIVE))).unwrap();
}

/// Builds a recipe's image, for Docker.
fn built(test: Test, name: &str) -> Test {
    let place = format!("docker-archive:{name}.tar:cooper-{}/{name}:ours", std::process::id());
    test.run(["build", &format!("t/{name}#prod"), "--to", &place]).status(0).then()
}

/// What Docker and Cooper make of a case, as far as it isn't the same.
fn differences(case: &Case, test: &Test, docker: &Engine, [ours, theirs]: [&str; 2]) -> Vec<String> {
    let context = test.path("recipes/t").join(case.name);
    docker.run(&["build", "--quiet", "--network", "none", "--tag", theirs, context.to_str().unwrap()]);
    let [mut here, mut there] = [ours, theirs].map(|image| Listing::of_tar(&docker.files(image)));
    for (path, expected, docker) in case.but {
        let [expected, docker] = [expected, docker].map(|line| line.replace("CAPABILITY", CAPABILITY));
        if (here.at(path), there.at(path)) == (&*expected, &*docker) {
            here.put(path, String::new());
            there.put(path, String::new());
        }
    }
    there.difference(&here)
}

#[test]
fn beside_docker_build() {
    let Some(docker) = engines::docker() else { return };
    let Some(busybox) = busybox() else { return };
    let registry = Registry::start();
    let (os, architecture) = PLATFORM.split_once('/').unwrap();
    let site = format!("[registry.\"{}\"]\nplain-http = true\n", registry.host());
    let mut test = Test::new()
        .file("cooper.toml", format!("[workspace]\nplatforms = [\"{PLATFORM}\"]\n"))
        .file("site.toml", site);
    let config = test.path("site.toml").to_str().unwrap().to_owned();
    test = test.env("COOPER_CONFIG", &config);
    let mut images = Vec::new();
    for (name, tar) in [("os", base(&busybox)), ("other", tar(&OTHER.replace("CAPABILITY", CAPABILITY)))] {
        let layout = Layout { platforms: vec![(os, architecture, None)], ..Layout::of_tars(vec![tar]) };
        layout.write(&test.path(&format!("bases/{name}")), "1");
        let recipe = format!("[image]\ntitle = \"x\"\n[base]\nlayout = \"bases/{name}:1\"\n");
        test = built(test.file(&format!("recipes/t/{name}/recipe.toml"), recipe), name);
        images.push(docker.load(&test.path(&format!("{name}.tar"))));
    }
    registry.seed_layout("lib/other", "1", &test.path("bases/other"));
    let jar = registry.put_blob("lib/files", *b"a jar");
    let fill = |text: &str| {
        text.replace("{url}", &format!("http://{}/v2/lib/files/blobs/{jar}", registry.host()))
            .replace("{sha256}", &jar.hex())
            .replace("{other}", &format!("{}/lib/other:1", registry.host()))
            .replace("{base}", &images[0])
            .replace("{other-there}", &images[1])
    };
    sources(&test.path("made"));
    for case in &CASES {
        let directory = format!("recipes/t/{}", case.name);
        let recipe = format!("[base]\nlayout = \"bases/os:1\"\n{}\n", fill(case.entries));
        let dockerfile = format!("FROM {}\n{}\n", images[0], fill(case.dockerfile));
        test = test
            .file(&format!("{directory}/recipe.toml"), recipe)
            .file(&format!("{directory}/Dockerfile"), dockerfile);
        sources(&test.path(&directory));
    }
    for case in &CASES {
        test = built(test, case.name);
    }
    // Docker's daemon does several at once, and mostly waits.
    let (next, found) = (AtomicUsize::new(0), Mutex::new(BTreeMap::new()));
    let work = || {
        while let Some(case) = CASES.get(next.fetch_add(1, Ordering::Relaxed)) {
            let ours = docker.load(&test.path(&format!("{}.tar", case.name)));
            let theirs = ours.replace(":ours", ":theirs");
            let differences = differences(case, &test, docker, [&ours, &theirs]);
            found.lock().unwrap().insert(case.name, (differences, [ours, theirs]));
        }
    };
    thread::scope(|scope| (0..4).for_each(|_| drop(scope.spawn(work))));
    let mut wrong = found.into_inner().unwrap();
    // Not before all is done: what several Dockerfiles begin with is one layer.
    images.extend(wrong.values().flat_map(|(_, images)| images.clone()));
    docker.run(&[&["rmi", "--force"][..], &images.iter().map(String::as_str).collect::<Vec<_>>()].concat());
    wrong.retain(|_, (differences, _)| !differences.is_empty());
    assert!(wrong.is_empty(), "docker's with -, ours with +: {wrong:#?}");
}

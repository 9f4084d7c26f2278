// How images say what they run, the nasty ways included.

import Testing

/// An image's variables, entrypoint and command, and the arguments that somebody gives.
struct RunCase: Sendable, CustomTestStringConvertible {
    let name: String
    var environment: [String] = []
    var entrypoint = ["show"]
    var command: [String] = []
    var arguments: [String] = []

    var testDescription: String { name }

    init(
        _ name: String, env environment: [String] = [], entrypoint: [String] = ["show"],
        command: [String] = [],
        arguments: [String] = []
    ) {
        self.name = name
        self.environment = environment
        self.entrypoint = entrypoint
        self.command = command
        self.arguments = arguments
    }

    static let all: [RunCase] = [
        RunCase(
            "long", env: ["A=" + String(repeating: "x'$`\\\n", count: 15_000)],
            entrypoint: ["show", String(repeating: "y\"'", count: 40_000)]),
        RunCase(
            "many", env: (0..<800).map { "V\($0)=\($0)" }, entrypoint: ["show"] + (0..<800).map { "a\($0)" }),
        RunCase("plain", env: ["A=1"]),
        RunCase("cmdonly", env: ["A=1"], entrypoint: [], command: ["show", "a b"]),
        RunCase("both", entrypoint: ["/bin/show", "-e"], command: ["c1", "c2"]),
        RunCase("args-replace-cmd", command: ["c1", "c2"], arguments: ["x", "y z"]),
        RunCase("args-only", entrypoint: [], arguments: ["show", "q"]),
        RunCase("args-over-cmd", entrypoint: [], command: ["nonexistent"], arguments: ["show", "q"]),
        RunCase("arg-empty", command: ["c"], arguments: [""]),
        RunCase("args-empties", command: ["c"], arguments: ["", "a", "", ""]),
        RunCase("cmd-empties", entrypoint: ["show", ""], command: ["", "x", ""]),
        RunCase("ep-single-empty", entrypoint: [""], command: ["show", "1"]),
        RunCase("ep-empty-then-cmd", entrypoint: ["", "show"]),
        RunCase("nothing", entrypoint: []),
        RunCase("nothing-lists", entrypoint: []),
        RunCase("nothing-ep-empty", entrypoint: [""]),
        RunCase(
            "quotes", env: ["A='", "B=\"", "C='\\''", "D=a'b\"c'd", "E=''"],
            entrypoint: ["show", "'", "\"", "'\\''", "it's \"x\""], command: ["''"]),
        RunCase(
            "newlines", env: ["A=a\nb", "B=\n", "C=x\n\n\n", "D=\nexport Z='1'\n", "E=\r\n\t\u{b}\u{c}"],
            entrypoint: ["show", "\n", "a\n", "\n\nb", "\r"]),
        RunCase(
            "dollars", env: ["A=$HOME", "B=${PATH}", "C=$(id)", "D=$((1+1))", "E=$'x'", "F=$$ $# $1 $@"],
            entrypoint: ["show", "$1", "$(id)", "$A", "$"]),
        RunCase("backticks", env: ["A=`id`", "B=\\`x\\`", "C=`"], entrypoint: ["show", "`id`", "`"]),
        RunCase(
            "backslashes", env: ["A=\\", "B=\\\\", "C=\\n\\t\\x41\\", "D=a\\'b", "E=\\$x"],
            entrypoint: ["show", "\\", "\\\\", "\\'", "\\n"]),
        RunCase(
            "spaces", env: ["A= x ", "B=   ", "C=\t", "D=a  b"], entrypoint: ["show", " ", "  a  ", "\t"]),
        RunCase(
            "globs", env: ["A=*", "B=?", "C=[a-z]*", "D=/bin/*", "E=~", "F=~root", "G={a,b}"],
            entrypoint: ["show", "*", "/bin/*", "~", "{a,b}", "!", "#x", "&;|<>()"]),
        RunCase("dashes", env: ["A=-n"], entrypoint: ["show", "-n", "--", "-", "-e"], command: ["-c"]),
        RunCase("args-dashes", arguments: ["--", "-x", "--help", "-"]),
        RunCase("argv0-dash", entrypoint: ["-show", "-x"], command: ["--"]),
        RunCase("argv0-dash-args", entrypoint: [], arguments: ["-show", "--", "-c"]),
        RunCase("argv0-eq", entrypoint: ["sh=ow", "A=1"], command: ["B=2"]),
        RunCase("argv0-eq-args", env: ["A=1"], entrypoint: [], arguments: ["sh=ow", "A=2"]),
        RunCase("argv0-eq-odd", env: ["a.b=1", "A=1"], entrypoint: ["sh=ow", "A=3"], command: ["B=2"]),
        RunCase("argv0-dash-odd", env: ["a.b=1"], entrypoint: ["-show", "-i", "-u"], command: ["A=1"]),
        RunCase("argv-eq", entrypoint: ["show", "A=1", "=", "=x"]),
        RunCase(
            "unicode", env: ["A=äöü€😀", "B=\u{202e}\u{a0}\u{2028}", "C=e\u{301}"],
            entrypoint: ["show", "日本語", "😀\n"], command: ["ñ"]),
        RunCase(
            "latin-controls", env: ["A=\u{81}\u{82}\u{88}\u{1}\u{7f}", "B=\u{1}\u{2}\u{1b}[31m\u{7f}"],
            entrypoint: ["show", "\u{1}", "\u{7f}\u{1}", "\u{81}"]),
        RunCase("path-missing"),
        RunCase("path-bin", env: ["PATH=/bin"]),
        RunCase("path-last-wins", env: ["PATH=/nonono", "A=1", "PATH=/x:/bin"]),
        RunCase("path-hostile-abs", env: ["PATH=/no no:$(x):'\":*"], entrypoint: ["/bin/show"]),
        RunCase("path-hostile-rel", env: ["PATH=/no no"]),
        RunCase("path-empty-abs", env: ["PATH="], entrypoint: ["/bin/show"]),
        RunCase("path-empty-rel", env: ["PATH="]),
        RunCase("path-quoted", env: ["PATH=/a'b:/bin"]),
        RunCase("dups", env: ["A=1", "B=x", "A=2", "A=3", "B="]),
        RunCase("dup-blank", env: ["A=1", " A=2", "\tB=3"]),
        RunCase("dup-noeq", env: ["A=1", "A"]),
        RunCase("eq-values", env: ["A=b=c", "B==", "C==x=", "D=a=b\n=c"]),
        RunCase("empty-values", env: ["A=", "B=", "LD_LIBRARY_PATH="]),
        RunCase("noeq", env: ["NOTSET_ANYWHERE", "A=1"]),
        RunCase("blankname", env: ["  =x", "A=1"]),
        RunCase("blank-only", env: ["  ", "A=1"]),
        RunCase(
            "IFS", env: ["IFS=0123456789 abcdefsho/"], entrypoint: ["show", "a b", "012"], command: ["x1"]),
        RunCase("IFS-args", env: ["IFS="], arguments: ["a b", ""]),
        RunCase("IFS-odd", env: ["IFS=.ab=/", "a.b=1 2"], entrypoint: ["show", "a b"]),
        RunCase("ENV", env: ["ENV=/etc/evil", "BASH_ENV=/etc/evil"]),
        RunCase("PS", env: ["PS1=p$(id)", "PS2=q", "PS3=r", "PS4=$(echo evil >&2)"]),
        RunCase(
            "PROMPT_COMMAND",
            env: ["PROMPT_COMMAND=id", "PS0=x", "HISTFILE=/x", "HISTSIZE=q", "MAILCHECK=x", "CDPATH=/bin"]),
        RunCase("OPTIND", env: ["OPTIND=7", "OPTARG=x", "OPTERR=q"]),
        RunCase("OPTIND-bad", env: ["OPTIND=abc", "A=1"]),
        RunCase("PWD", env: ["PWD=/nonono", "OLDPWD=/nonono2"]),
        RunCase("PWD-valid", env: ["PWD=/", "OLDPWD=/tmp"]),
        RunCase("SHLVL", env: ["SHLVL=7"]),
        RunCase("SHLVL-bad", env: ["SHLVL=abc"]),
        RunCase("underscore", env: ["_=foo", "__=bar", "_x=1"]),
        RunCase(
            "readonly",
            env: [
                "UID=1000", "EUID=1", "GID=5", "PPID=7", "BASHOPTS=x", "SHELLOPTS=xtrace", "BASH_VERSINFO=1",
            ]),
        RunCase(
            "dynamic",
            env: [
                "RANDOM=a", "SECONDS=b", "LINENO=c", "EPOCHSECONDS=d", "EPOCHREALTIME=q", "SRANDOM=e",
                "DIRSTACK=f", "GROUPS=g", "BASHPID=h", "FUNCNAME=i", "PIPESTATUS=j", "HISTCMD=k",
                "BASH_COMMAND=l", "BASH_SUBSHELL=m", "BASH_ALIASES=n", "BASH_CMDS=o", "BASH_SOURCE=p",
                "BASH_ARGC=1", "BASH_ARGV=2", "BASH_LINENO=3", "BASH_REMATCH=4",
            ]),
        RunCase("podmans", env: ["TERM=tt", "HOSTNAME=hh", "HOME=/hh", "container=me"]),
        RunCase("podmans-empty", env: ["TERM=", "HOSTNAME="]),
        RunCase(
            "owned",
            env: [
                "SHELL=/x", "HOSTTYPE=a", "OSTYPE=b", "MACHTYPE=c", "USER=u", "LOGNAME=l", "COLUMNS=9",
                "LINES=x",
            ]),
        RunCase(
            "oddnames",
            env: [
                "a.b=1", "1X=2", "x-y=3", "D =4", "*=5", "é=6", "a/b=7", "x\ny=8", "-i=9", "--=10", "q'q=11",
                "$x=12", "BASH_FUNC_f%%=() { :; }",
            ], entrypoint: ["show", "A=1"]),
        RunCase("oddnames-values", env: ["a.b='\n$x`\\", " c.d=x\n\n"], entrypoint: ["/bin/show"]),
        RunCase("LD_LIBRARY_PATH", env: ["LD_LIBRARY_PATH=/opt/x:/opt/y", "LD_DEBUG_NOT=1"]),
        RunCase(
            "NVIDIA", env: ["NVIDIA_VISIBLE_DEVICES=all", "CUDA_VERSION=12.2", "NV_CUDA_LIB=\"q\""],
            entrypoint: ["/bin/show"]),
        RunCase(
            "func-name",
            env: ["singularity_image_exec=1", "singularity_d_exec=2", "unset=3", "export=4", "exec=5"]),
        RunCase("BASH_VERSION-odd", env: ["BASH_VERSION=5", "a.b=1"]),
        RunCase("comment-injection", env: ["a.b\nexport EVIL=1\n#=x"]),
        RunCase("shell-opts-args", arguments: ["-x", "+x", "-o", "posix"]),
    ]
}

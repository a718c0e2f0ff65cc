/*
 * A PKCS #11 module that passes every call on to another one (REAL, given to the compiler), and misbehaves as the file beside it
 * says: its own path with .rules behind. What it was asked is in .calls. See shim.go for the rules.
 *
 * The headers of PKCS #11 are not needed for that: a list of functions, and the few structs that are changed.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef unsigned long ulong_t;
typedef unsigned char byte;
typedef ulong_t (*fn)();
struct list { byte version[2]; fn f[68]; };
struct attribute { ulong_t type; void *value; ulong_t len; };
struct token_info { byte label[32], maker[32], model[16], serial[16]; ulong_t flags; };
struct slot_info { byte description[64], maker[32]; ulong_t flags; };

enum { Initialize = 0, GetFunctionList = 3, GetSlotList, GetSlotInfo, GetTokenInfo, GetMechanismList, OpenSession = 12, CloseSession,
       CloseAllSessions, GetSessionInfo, Login = 18, GetAttributeValue = 24, FindObjectsInit = 26, FindObjects, FindObjectsFinal,
       SignInit = 42, Sign };

enum { SLOT = 7, DEVICE_REMOVED = 0x32, CANCELED = 0x50, PIN_INCORRECT = 0xA0, NOT_PRESENT = 0xE0, SLOT_INVALID = 3, TOO_SMALL = 0x150 };

static struct list *real, mine;
static char rules_path[4096], calls_path[4096], rules[8192], last_insertion[32];
static int was_absent, frozen_empty = -1;

static void note(const char *format, ...) {
	char line[256];
	va_list a;
	va_start(a, format);
	int n = vsnprintf(line, sizeof line - 1, format, a);
	va_end(a);
	line[n++] = '\n';
	int fd = open(calls_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (fd >= 0 && write(fd, line, n) != n) abort();
	close(fd);
}

/* rule finds the line that begins with these words and copies what follows them. */
static int rule(const char *name, char *rest, size_t size) {
	size_t n = strlen(name);
	for (char *l = rules; l && *l; l = strchr(l, '\n') ? strchr(l, '\n') + 1 : NULL) {
		if (strncmp(l, name, n) == 0 && (l[n] == ' ' || l[n] == '\n' || l[n] == 0)) {
			size_t len = strcspn(l + n, "\n");
			const char *from = l + n;
			while (*from == ' ') from++, len--;
			if (rest) snprintf(rest, size, "%.*s", (int)len, from);
			return 1;
		}
	}
	return 0;
}

/* once takes the line that begins with these words out of the file: it is obeyed once. */
static void once(const char *name) {
	char other[sizeof rules] = "", *l = rules;
	size_t n = strlen(name);
	int taken = 0;
	while (*l) {
		size_t len = strcspn(l, "\n");
		if (!taken && strncmp(l, name, n) == 0) taken = 1;
		else { strncat(other, l, len); strcat(other, "\n"); }
		l += len + (l[len] == '\n');
	}
	int fd = open(rules_path, O_WRONLY | O_TRUNC | O_CLOEXEC);
	if (fd < 0 || write(fd, other, strlen(other)) < 0) abort();
	close(fd);
}

static void close_all(void) {
	ulong_t ids[64], n = 64;
	if (real->f[GetSlotList](0, ids, &n) != 0) return;
	for (ulong_t i = 0; i < n; i++) real->f[CloseAllSessions](ids[i]);
}

/* read_rules reads the file, and forgets sessions where a card went or another came. */
static void read_rules(void) {
	int fd = open(rules_path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, rules, sizeof rules - 1);
	rules[n < 0 ? 0 : n] = 0;
	if (fd >= 0) close(fd);
	char insertion[32] = "";
	rule("insertion", insertion, sizeof insertion);
	int absent = rule("absent", NULL, 0) || rule("noreader", NULL, 0);
	if (strcmp(insertion, last_insertion) != 0 || (was_absent && !absent)) close_all();
	strcpy(last_insertion, insertion);
	was_absent = absent;
}

/* misbehave does what the rules say of a call; it returns 0 where the call is to be made. */
static ulong_t misbehave(const char *call) {
	char name[64], rest[256];
	read_rules();
	snprintf(name, sizeof name, "crash %s", call);
	if (rule(name, NULL, 0)) { once(name); *(volatile int *)8 = 0; }
	snprintf(name, sizeof name, "hang %s", call);
	if (rule(name, rest, sizeof rest)) {
		once(name);
		int fd = open(rest, O_WRONLY);
		if (fd >= 0 && write(fd, "h", 1) == 1) close(fd);
		for (;;) pause();
	}
	snprintf(name, sizeof name, "stdin %s", call);
	if (rule(name, NULL, 0)) {
		char line[64];
		note("stdin %s", fgets(line, sizeof line, stdin) ? "a line" : "end");
		return CANCELED;
	}
	snprintf(name, sizeof name, "once %s", call);
	if (rule(name, rest, sizeof rest)) { once(name); return strtoul(rest, NULL, 16); }
	snprintf(name, sizeof name, "always %s", call);
	if (rule(name, rest, sizeof rest)) return strtoul(rest, NULL, 16);
	return 0;
}

static ulong_t begin(const char *call) {
	note("%s", call);
	return misbehave(call);
}

static int absent(void) { return rule("absent", NULL, 0) || rule("noreader", NULL, 0); }

/* the_card finds the real slot of the token that the rules put into the one reader. */
static int the_card(ulong_t *slot) {
	char label[64];
	if (!rule("card", label, sizeof label)) return 0;
	ulong_t ids[64], n = 64;
	if (real->f[GetSlotList](1, ids, &n) != 0) return 0;
	for (ulong_t i = 0; i < n; i++) {
		struct token_info t[2]; /* longer than the part that is declared here */
		if (real->f[GetTokenInfo](ids[i], t) != 0) continue;
		size_t len = strlen(label);
		if (memcmp(t->label, label, len) == 0 && (len == 32 || t->label[len] == ' ')) { *slot = ids[i]; return 1; }
	}
	return 0;
}

static int one_reader(void) { return absent() || rule("card", NULL, 0); }

/* slot_of turns the one reader's number into the real one. */
static ulong_t slot_of(ulong_t *id) {
	if (!one_reader()) return 0;
	if (*id != SLOT) return SLOT_INVALID;
	return absent() || !the_card(id) ? NOT_PRESENT : 0;
}

#define GUARD(name) ulong_t rv = begin(name); if (rv) return rv
#define SESSION(name) GUARD(name); if (absent()) return DEVICE_REMOVED

static ulong_t my_Initialize(void *a) {
	GUARD("C_Initialize");
	if (rule("frozen", NULL, 0)) frozen_empty = rule("noreader", NULL, 0);
	return real->f[Initialize](a);
}

static ulong_t my_GetSlotList(byte present, ulong_t *ids, ulong_t *n) {
	GUARD("C_GetSlotList");
	if (!one_reader()) return real->f[GetSlotList](present, ids, n);
	int none = frozen_empty >= 0 ? frozen_empty : rule("noreader", NULL, 0);
	ulong_t count = none || (present && absent()) ? 0 : 1;
	if (ids && *n < count) return TOO_SMALL;
	if (ids && count) ids[0] = SLOT;
	*n = count;
	return 0;
}

static ulong_t my_GetSlotInfo(ulong_t id, struct slot_info *i) {
	GUARD("C_GetSlotInfo");
	if (!one_reader()) return real->f[GetSlotInfo](id, i);
	if (id != SLOT) return SLOT_INVALID;
	memset(i->description, ' ', sizeof i->description + sizeof i->maker);
	memcpy(i->description, "Reader", 6);
	memset(&i->flags, 0, sizeof i->flags + 4);
	i->flags = 6 | !absent();
	return 0;
}

static ulong_t my_GetTokenInfo(ulong_t id, struct token_info *i) {
	GUARD("C_GetTokenInfo");
	char rest[64];
	if ((rv = slot_of(&id)) || (rv = real->f[GetTokenInfo](id, i))) return rv;
	if (rule("flags", rest, sizeof rest)) {
		char *end;
		i->flags |= strtoul(rest, &end, 16);
		i->flags &= ~strtoul(end, NULL, 16);
	}
	if (rule("maker", rest, sizeof rest)) {
		memset(i->maker, ' ', sizeof i->maker);
		memcpy(i->maker, rest, strlen(rest) < 32 ? strlen(rest) : 32);
	}
	return 0;
}

static ulong_t my_GetMechanismList(ulong_t id, ulong_t *list, ulong_t *n) {
	GUARD("C_GetMechanismList");
	if ((rv = slot_of(&id))) return rv;
	return real->f[GetMechanismList](id, list, n);
}

static ulong_t my_OpenSession(ulong_t id, ulong_t flags, void *app, void *notify, ulong_t *s) {
	GUARD("C_OpenSession");
	char pin[64];
	if ((rv = slot_of(&id)) || (rv = real->f[OpenSession](id, flags, app, notify, s))) return rv;
	if (rule("selflogin", pin, sizeof pin)) real->f[Login](*s, 1UL, pin, (ulong_t)strlen(pin));
	return 0;
}

static ulong_t my_CloseSession(ulong_t s) {
	GUARD("C_CloseSession");
	return real->f[CloseSession](s);
}

static ulong_t my_GetSessionInfo(ulong_t s, ulong_t *i) {
	GUARD("C_GetSessionInfo");
	if ((rv = real->f[GetSessionInfo](s, i))) return rv;
	if (rule("public", NULL, 0)) i[1] = 0; /* the state: a session that nobody has logged in */
	return 0;
}

static ulong_t my_Login(ulong_t s, ulong_t user, char *pin, ulong_t len) {
	note("C_Login %lu %lu", user, len);
	ulong_t rv = misbehave("C_Login");
	char pad[64];
	if (rv) return rv;
	if (absent()) return DEVICE_REMOVED;
	if (rule("pad", pad, sizeof pad)) {
		if (len) return PIN_INCORRECT;
		pin = pad, len = strlen(pad);
	}
	return real->f[Login](s, user, pin, len);
}

static ulong_t my_GetAttributeValue(ulong_t s, ulong_t o, struct attribute *a, ulong_t n) {
	if ((n = real->f[GetAttributeValue](s, o, a, n))) return n;
	char name[32], rest[16];
	read_rules();
	snprintf(name, sizeof name, "attr %lx", a[0].type);
	if (a[0].value && a[0].len == 1 && rule(name, rest, sizeof rest)) *(byte *)a[0].value = atoi(rest);
	return 0;
}

static ulong_t my_FindObjectsInit(ulong_t s, void *a, ulong_t n) {
	SESSION("C_FindObjectsInit");
	return real->f[FindObjectsInit](s, a, n);
}

static ulong_t my_SignInit(ulong_t s, void *m, ulong_t key) {
	SESSION("C_SignInit");
	return real->f[SignInit](s, m, key);
}

static ulong_t my_Sign(ulong_t s, void *data, ulong_t n, byte *sig, ulong_t *len) {
	SESSION("C_Sign");
	rv = real->f[Sign](s, data, n, sig, len);
	if (!rv && sig && rule("corrupt", NULL, 0)) sig[*len - 1] ^= 1;
	return rv;
}

static ulong_t my_GetFunctionList(struct list **l) {
	*l = &mine;
	return 0;
}

ulong_t C_GetFunctionList(struct list **l) {
	Dl_info self;
	if (!dladdr((void *)C_GetFunctionList, &self)) return 5;
	snprintf(rules_path, sizeof rules_path, "%s.rules", self.dli_fname);
	snprintf(calls_path, sizeof calls_path, "%s.calls", self.dli_fname);
	void *so = dlopen(REAL, RTLD_NOW | RTLD_LOCAL);
	ulong_t (*get)(struct list **) = so ? (ulong_t(*)(struct list **))dlsym(so, "C_GetFunctionList") : NULL;
	if (!get || get(&real)) return 5;
	mine = *real;
	mine.f[Initialize] = (fn)my_Initialize;
	mine.f[GetFunctionList] = (fn)my_GetFunctionList;
	mine.f[GetSlotList] = (fn)my_GetSlotList;
	mine.f[GetSlotInfo] = (fn)my_GetSlotInfo;
	mine.f[GetTokenInfo] = (fn)my_GetTokenInfo;
	mine.f[GetMechanismList] = (fn)my_GetMechanismList;
	mine.f[OpenSession] = (fn)my_OpenSession;
	mine.f[CloseSession] = (fn)my_CloseSession;
	mine.f[GetSessionInfo] = (fn)my_GetSessionInfo;
	mine.f[Login] = (fn)my_Login;
	mine.f[GetAttributeValue] = (fn)my_GetAttributeValue;
	mine.f[FindObjectsInit] = (fn)my_FindObjectsInit;
	mine.f[SignInit] = (fn)my_SignInit;
	mine.f[Sign] = (fn)my_Sign;
	*l = &mine;
	return 0;
}

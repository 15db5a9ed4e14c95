//! Client system architectures (option 93, RFC 4578 section 2.1; names and codes from IANA's registry).

use std::fmt;

/// A processor architecture type as IANA numbers them; unknown codes are kept, never refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientArch(pub u16);

/// What a boot file must be made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Platform {
    Bios,
    UefiIa32,
    UefiX64,
    UefiArm32,
    UefiArm64,
}

struct Row {
    code: u16,
    name: &'static str,
    text: &'static str,
    platform: Option<Platform>,
    http: bool,
}

const fn row(code: u16, name: &'static str, text: &'static str, platform: Option<Platform>, http: bool) -> Row {
    Row { code, name, text, platform, http }
}

// RFC 4578 prints 7 as EFI BC and 9 as EFI x86-64; IANA has them the other way round, firmware sends either for x64.
// We take both as x64.
#[rustfmt::skip]
const TABLE: &[Row] = &[
    row(0,  "bios",              "x86 BIOS",              Some(Platform::Bios),      false),
    row(1,  "nec-pc98",          "NEC PC98",              None,                      false),
    row(2,  "itanium",           "EFI Itanium",           None,                      false),
    row(3,  "alpha",             "DEC Alpha",             None,                      false),
    row(4,  "arc-x86",           "Arc x86",               None,                      false),
    row(5,  "intel-lean",        "Intel Lean Client",     None,                      false),
    row(6,  "uefi-ia32",         "UEFI ia32",             Some(Platform::UefiIa32),  false),
    row(7,  "uefi-x64",          "UEFI x64",              Some(Platform::UefiX64),   false),
    row(8,  "xscale",            "EFI Xscale",            None,                      false),
    row(9,  "uefi-ebc",          "UEFI x64 (9)",          Some(Platform::UefiX64),   false),
    row(10, "uefi-arm32",        "UEFI arm32",            Some(Platform::UefiArm32), false),
    row(11, "uefi-arm64",        "UEFI arm64",            Some(Platform::UefiArm64), false),
    row(12, "ppc-of",            "PowerPC Open Firmware", None,                      false),
    row(13, "ppc-epapr",         "PowerPC ePAPR",         None,                      false),
    row(14, "opal",              "POWER OPAL v3",         None,                      false),
    row(15, "uefi-ia32-http",    "UEFI ia32 HTTP",        Some(Platform::UefiIa32),  true),
    row(16, "uefi-http",         "UEFI x64 HTTP",         Some(Platform::UefiX64),   true),
    row(17, "uefi-ebc-http",     "UEFI x64 HTTP (17)",    Some(Platform::UefiX64),   true),
    row(18, "uefi-arm32-http",   "UEFI arm32 HTTP",       Some(Platform::UefiArm32), true),
    row(19, "uefi-arm64-http",   "UEFI arm64 HTTP",       Some(Platform::UefiArm64), true),
    row(20, "bios-http",         "x86 BIOS HTTP",         Some(Platform::Bios),      true),
    row(21, "uboot-arm32",       "U-Boot arm32",          None,                      false),
    row(22, "uboot-arm64",       "U-Boot arm64",          None,                      false),
    row(23, "uboot-arm32-http",  "U-Boot arm32 HTTP",     None,                      true),
    row(24, "uboot-arm64-http",  "U-Boot arm64 HTTP",     None,                      true),
    row(25, "uefi-riscv32",      "UEFI RISC-V 32",        None,                      false),
    row(26, "uefi-riscv32-http", "UEFI RISC-V 32 HTTP",   None,                      true),
    row(27, "uefi-riscv64",      "UEFI RISC-V 64",        None,                      false),
    row(28, "uefi-riscv64-http", "UEFI RISC-V 64 HTTP",   None,                      true),
    row(29, "uefi-riscv128",     "UEFI RISC-V 128",       None,                      false),
    row(30, "uefi-riscv128-http","UEFI RISC-V 128 HTTP",  None,                      true),
    row(31, "s390",              "s390 Basic",            None,                      false),
    row(32, "s390-extended",     "s390 Extended",         None,                      false),
    row(33, "mips32",            "MIPS 32",               None,                      false),
    row(34, "mips64",            "MIPS 64",               None,                      false),
    row(35, "sunway32",          "Sunway 32",             None,                      false),
    row(36, "sunway64",          "Sunway 64",             None,                      false),
    row(37, "loongarch32",       "LoongArch 32",          None,                      false),
    row(38, "loongarch32-http",  "LoongArch 32 HTTP",     None,                      true),
    row(39, "loongarch64",       "LoongArch 64",          None,                      false),
    row(40, "loongarch64-http",  "LoongArch 64 HTTP",     None,                      true),
    row(41, "rpiboot",           "Raspberry Pi rpiboot",  None,                      false),
];

impl ClientArch {
    pub const BIOS: ClientArch = ClientArch(0);

    fn row(self) -> Option<&'static Row> {
        TABLE.iter().find(|row| row.code == self.0)
    }

    /// The platform that a boot file for this client must be built for; `None` where we know of none.
    pub fn platform(self) -> Option<Platform> {
        self.row().and_then(|row| row.platform)
    }

    /// Whether this code announces HTTP boot rather than TFTP.
    pub fn is_http(self) -> bool {
        self.row().is_some_and(|row| row.http)
    }

    /// The architecture with this name (`uefi-x64`) or decimal code (`7`).
    pub fn by_name(name: &str) -> Option<ClientArch> {
        let named = TABLE.iter().find(|row| row.name == name).map(|row| ClientArch(row.code));
        named.or_else(|| name.parse().ok().map(ClientArch))
    }

    /// Every name that [`ClientArch::by_name`] knows, in order of code.
    pub fn names() -> impl Iterator<Item = &'static str> {
        TABLE.iter().map(|row| row.name)
    }
}

/// For people: `UEFI x64`, or `architecture 99` for a code that IANA has not named.
impl fmt::Display for ClientArch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.row() {
            Some(row) => f.write_str(row.text),
            None => write!(f, "architecture {}", self.0),
        }
    }
}

impl Platform {
    /// The name that configuration uses: `bios`, `uefi-x64`, …
    pub fn name(self) -> &'static str {
        match self {
            Platform::Bios => "bios",
            Platform::UefiIa32 => "uefi-ia32",
            Platform::UefiX64 => "uefi-x64",
            Platform::UefiArm32 => "uefi-arm32",
            Platform::UefiArm64 => "uefi-arm64",
        }
    }

    pub const ALL: [Platform; 5] =
        [Platform::Bios, Platform::UefiIa32, Platform::UefiX64, Platform::UefiArm32, Platform::UefiArm64];

    pub fn by_name(name: &str) -> Option<Platform> {
        Platform::ALL.into_iter().find(|platform| platform.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seven_and_nine_are_both_x64() {
        for code in [7, 9, 16, 17] {
            assert_eq!(ClientArch(code).platform(), Some(Platform::UefiX64), "{code}");
        }
    }

    #[test]
    fn table_is_in_order_and_names_are_unique() {
        assert!(TABLE.windows(2).all(|pair| pair[0].code < pair[1].code));
        for row in TABLE {
            assert_eq!(ClientArch::by_name(row.name), Some(ClientArch(row.code)));
        }
    }

    #[test]
    fn unknown_codes_are_kept() {
        assert_eq!(ClientArch(99).to_string(), "architecture 99");
        assert_eq!(ClientArch::by_name("99"), Some(ClientArch(99)));
        assert_eq!(ClientArch(99).platform(), None);
    }
}

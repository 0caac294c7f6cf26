//! From a device's name to a Burn device. This is the only file that names Burn backends.
//!
//! Which backends exist is decided by Cargo features; Burn's own `Device::default()` follows whatever
//! feature unification compiled in, so a device is always constructed here, explicitly.
//!
//! ```
//! use firesight::device;
//!
//! let cpu = device::select(Some("cpu"))?;
//! assert!(cpu.is_cpu());
//! let unknown = device::select(Some("gpu")).unwrap_err();
//! assert!(unknown.to_string().contains("there is no backend of that name; known are cpu, cuda"));
//! # anyhow::Ok(())
//! ```

use std::panic::{AssertUnwindSafe, catch_unwind};

use burn::tensor::{Device, Tensor};

/// A backend.
#[derive(Clone, Copy, Debug)]
pub struct Backend {
    /// The name in `--device` and the Cargo feature.
    pub name: &'static str,
    /// Whether the name may be followed by `:<index>`.
    pub indexed: bool,
    /// Constructs the device of an index; none where the backend is not compiled in.
    construct: Option<Construct>,
}

type Construct = fn(Option<usize>) -> Device;

/// The list of the backends, in the order of preference. A line is all of one: its name, which is its Cargo feature too,
/// and its constructor. Those of the second group have one device and stand in the tests of this crate; those of the third
/// are reached by an address.
macro_rules! backends {
    (
        indexed { $($name:literal: $make:expr;)* }
        single { $($one:literal: $make_one:expr;)* }
        addressed { $($far:literal;)* }
    ) => {
        /// Every backend that Firesight knows, compiled in or not, in the order of preference.
        #[allow(deprecated, reason = "Burn's ndarray is still here")]
        pub const BACKENDS: &[Backend] = &[
            $(Backend {
                name: $name,
                indexed: true,
                #[cfg(feature = $name)]
                construct: Some($make),
                #[cfg(not(feature = $name))]
                construct: None,
            },)*
            $(Backend {
                name: $one,
                indexed: false,
                #[cfg(any(feature = $one, test))]
                construct: Some($make_one),
                #[cfg(not(any(feature = $one, test)))]
                construct: None,
            },)*
            $(Backend {
                name: $far,
                indexed: false,
                construct: if cfg!(feature = $far) { Some(unaddressed) } else { None },
            },)*
        ];
    };
}

backends! {
    indexed {
        "cuda": |index| Device::cuda(index.unwrap_or(0));
        "rocm": |index| Device::rocm(index.unwrap_or(0));
        "metal": |index| Device::metal(adapter(index));
        "vulkan": |index| Device::vulkan(adapter(index));
        "wgpu": |index| Device::wgpu(adapter(index));
        "webgpu": |index| Device::webgpu(adapter(index));
        "tch": |index| index.map_or_else(Device::libtorch, Device::libtorch_cuda);
    }
    single {
        "ndarray": |_| Device::ndarray();
        "flex": |_| Device::flex();
    }
    addressed {
        "remote";
    }
}

/// Without an index the graphics interface names its best adapter; a software adapter counts as a CPU.
#[cfg(any(
    feature = "wgpu",
    feature = "vulkan",
    feature = "metal",
    feature = "webgpu"
))]
fn adapter(index: Option<usize>) -> burn::tensor::DeviceKind {
    use burn::tensor::DeviceKind;
    index.map_or(DeviceKind::DefaultDevice, DeviceKind::DiscreteGpu)
}

/// A backend that is reached by an address is connected, not constructed.
fn unaddressed(_: Option<usize>) -> Device {
    unreachable!("`named` connects it before")
}

/// CPU backends, the best first: what `--device cpu` means.
const CPU: [&str; 3] = ["flex", "tch", "ndarray"];

impl Backend {
    /// Whether this build of the program has the backend.
    pub fn is_compiled_in(&self) -> bool {
        self.construct.is_some()
    }
}

/// A device and how it was named.
#[derive(Clone, Debug)]
pub struct NamedDevice {
    /// The device itself, without autodiff.
    pub device: Device,
    /// The backend's name, for example `flex`.
    pub backend: &'static str,
    /// The full name, for example `cuda:0`.
    pub name: String,
}

impl NamedDevice {
    /// Whether work on this device is done by the CPU, in the calling thread's time.
    pub fn is_cpu(&self) -> bool {
        CPU.contains(&self.backend) && !self.name.contains("cuda")
    }
}

/// Why a device could not be had.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// The name means nothing.
    #[error("device `{name}`: there is no backend of that name; known are cpu, {known}")]
    Unknown {
        /// What was asked for.
        name: String,
        /// The names there are.
        known: String,
    },
    /// The backend exists but not in this build.
    #[error(
        "device `{name}`: the backend `{backend}` is not compiled in (compiled in: {compiled}); \
         `cargo build --release -p trainer --features {backend}` builds a program with it"
    )]
    NotCompiledIn {
        /// What was asked for.
        name: String,
        /// Its backend, which is also the Cargo feature.
        backend: String,
        /// The backends there are in this build.
        compiled: String,
    },
    /// The part behind the colon is wrong.
    #[error("device `{name}`: `{index}` is not a device index; write `{backend}` or `{backend}:0`")]
    Index {
        /// What was asked for.
        name: String,
        /// Its backend.
        backend: &'static str,
        /// The part behind the colon.
        index: String,
    },
    /// A remote device without an address, or with one that means nothing.
    #[error(
        "device `{name}`: `{address}` is no address of a server; write `remote:ws://host:port` (WebSocket) \
         or `remote:<endpoint id>` (Iroh)"
    )]
    Address {
        /// What was asked for.
        name: String,
        /// The part behind the first colon.
        address: String,
    },
    /// What the environment variable says is wrong.
    #[error("the environment variable {VARIABLE}: {0}")]
    Variable(Box<DeviceError>),
    /// The backend is there, the hardware or its driver is not.
    #[error("device `{name}`: it could not be started: {reason}")]
    Unavailable {
        /// What was asked for.
        name: String,
        /// What the backend said.
        reason: String,
    },
    /// A build without any backend.
    #[error(
        "no backend is compiled in; build with a backend's feature, for example `--features flex`"
    )]
    None,
}

/// The backends of this build, the preferred first.
pub fn compiled_in() -> Vec<Backend> {
    let backends = BACKENDS.iter().copied();
    backends.filter(Backend::is_compiled_in).collect()
}

/// Names the device where no command does.
const VARIABLE: &str = "FIRESIGHT_DEVICE";

/// The device of a name such as `cpu`, `flex`, `wgpu`, `cuda:1`; without a name that of the environment variable
/// `FIRESIGHT_DEVICE`, and without that the first backend that is compiled in of cuda, rocm, metal, vulkan, wgpu, webgpu,
/// tch, ndarray, flex.
///
/// `remote:ADDRESS` is a device that another machine serves (Burn's `RemoteServer`): `remote:ws://host:3000` over
/// WebSocket, unencrypted, for a trusted network; `remote:<endpoint id>` over Iroh, across any network.
///
/// # Errors
/// An unknown name, a backend that is not compiled in, a wrong index or address, a device that does not start.
pub fn select(name: Option<&str>) -> Result<NamedDevice, DeviceError> {
    match std::env::var(VARIABLE) {
        Ok(usual) if name.is_none() && !usual.is_empty() => {
            named(Some(&usual)).map_err(|error| DeviceError::Variable(Box::new(error)))
        }
        _ => named(name),
    }
}

fn named(name: Option<&str>) -> Result<NamedDevice, DeviceError> {
    let compiled = compiled_in();
    let names = |list: &[Backend]| list.iter().map(|b| b.name).collect::<Vec<_>>().join(", ");
    let name = match name {
        Some("cpu") => CPU
            .iter()
            .find(|cpu| compiled.iter().any(|b| b.name == **cpu))
            .ok_or_else(|| DeviceError::NotCompiledIn {
                name: "cpu".into(),
                backend: "flex".into(),
                compiled: names(&compiled),
            })?,
        Some(name) => name,
        None => compiled.first().ok_or(DeviceError::None)?.name,
    };
    let (backend_name, index) = match name.split_once(':') {
        Some((backend, index)) => (backend, Some(index)),
        None => (name, None),
    };
    let mut known = BACKENDS.iter().copied();
    let backend = known
        .find(|b| b.name == backend_name)
        .ok_or_else(|| DeviceError::Unknown {
            name: name.into(),
            known: names(BACKENDS),
        })?;
    let construct = backend
        .construct
        .ok_or_else(|| DeviceError::NotCompiledIn {
            name: name.into(),
            backend: backend.name.into(),
            compiled: names(&compiled),
        })?;
    if backend.name == "remote" {
        return remote(name, backend, index.unwrap_or_default());
    }
    let index = match index {
        None => None,
        Some(text) => match text.parse::<usize>() {
            Ok(index) if backend.indexed => Some(index),
            _ => {
                return Err(DeviceError::Index {
                    name: name.into(),
                    backend: backend.name,
                    index: text.into(),
                });
            }
        },
    };
    start(name, backend, || construct(index))
}

/// Connects the device that a server on another machine hosts; its first, where it hosts several.
#[cfg(feature = "remote")]
fn remote(name: &str, backend: Backend, address: &str) -> Result<NamedDevice, DeviceError> {
    use burn::remote::{EndpointId, RemoteHost};
    let host = if address.starts_with("ws://") {
        RemoteHost::websocket(address)
    } else {
        let id = address.parse::<EndpointId>();
        RemoteHost::iroh(id.map_err(|_| DeviceError::Address {
            name: name.into(),
            address: address.into(),
        })?)
    };
    let device =
        Device::remote_options(&host)
            .init()
            .map_err(|error| DeviceError::Unavailable {
                name: name.into(),
                reason: error.to_string(),
            })?;
    start(name, backend, || device)
}

#[cfg(not(feature = "remote"))]
fn remote(name: &str, _: Backend, address: &str) -> Result<NamedDevice, DeviceError> {
    Err(DeviceError::Address {
        name: name.into(),
        address: address.into(),
    })
}

/// Constructs the device and runs one operation on it, so that a missing driver is an error here and
/// not a panic in the middle of a run.
fn start(
    name: &str,
    backend: Backend,
    construct: impl FnOnce() -> Device,
) -> Result<NamedDevice, DeviceError> {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let result = catch_unwind(AssertUnwindSafe(|| {
        let device = construct();
        let sum: f32 = Tensor::<1>::ones([8], &device).sum().into_scalar();
        (device, sum)
    }));
    std::panic::set_hook(hook);
    match result {
        Ok((device, 8.0)) => Ok(NamedDevice {
            device,
            backend: backend.name,
            name: name.into(),
        }),
        Ok((_, sum)) => Err(DeviceError::Unavailable {
            name: name.into(),
            reason: format!("the sum of eight ones came back as {sum}"),
        }),
        Err(panic) => Err(DeviceError::Unavailable {
            name: name.into(),
            reason: panic_message(panic.as_ref()),
        }),
    }
}

fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    panic
        .downcast_ref::<String>()
        .cloned()
        .or_else(|| panic.downcast_ref::<&str>().map(|s| s.to_string()))
        .unwrap_or_else(|| "the backend gave no reason".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_is_flex_and_the_default_is_compiled_in() {
        assert_eq!(select(Some("cpu")).unwrap().backend, "flex");
        assert!(select(None).is_ok());
        assert_eq!(select(Some("ndarray")).unwrap().backend, "ndarray");
    }

    #[test]
    fn errors_name_the_mend() {
        let unknown = select(Some("gpu")).unwrap_err().to_string();
        assert!(unknown.contains("known are cpu, cuda"), "{unknown}");
        if !cfg!(feature = "cuda") {
            let missing = select(Some("cuda:0")).unwrap_err().to_string();
            assert!(missing.contains("--features cuda"), "{missing}");
        }
        let index = select(Some("flex:1")).unwrap_err().to_string();
        assert!(index.contains("not a device index"), "{index}");
    }
}

//! Series of what Intune manages: each function writes the samples of one managed device in one family.

use crate::metrics::Out;
use crate::model::State;
use crate::model::managed_device::ManagedDevice;

pub fn compliant(out: &mut Out<'_>, device: &ManagedDevice) {
    out.known(device.compliant);
}

pub fn last_sync(out: &mut Out<'_>, device: &ManagedDevice) {
    out.known(device.last_sync);
}

pub fn security_patch(out: &mut Out<'_>, device: &ManagedDevice) {
    out.known(device.security_patch);
}

pub fn certificate_expiry(out: &mut Out<'_>, device: &ManagedDevice) {
    out.known(device.certificate_expiry);
}

pub fn storage_free(out: &mut Out<'_>, device: &ManagedDevice) {
    out.known(device.storage_free);
}

pub fn storage(out: &mut Out<'_>, device: &ManagedDevice) {
    out.known(device.storage);
}

pub fn info(out: &mut Out<'_>, device: &ManagedDevice) {
    let os = device.os.map_or("", State::label);
    out.with(&[("os", os), ("os_version", device.os_version.as_deref().unwrap_or_default())], true);
}

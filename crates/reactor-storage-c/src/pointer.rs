//! Pointers from C and to C: all that has to be unsafe about them.

use std::ffi::{CStr, c_char};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;

use crate::error::{Error, Failure};

/// What a pointer leads to; `None` for NULL.
///
/// # Safety
///
/// It is NULL, or leads to a `T` that lives, and is not changed, for as long as the result is used.
pub(crate) unsafe fn read<'a, T>(pointer: *const T) -> Option<&'a T> {
    // SAFETY: as the caller promises.
    unsafe { pointer.as_ref() }
}

/// What a pointer leads to, to be changed; `None` for NULL.
///
/// # Safety
///
/// It is NULL, or leads to a `T` that lives, and that nobody else uses, for as long as the result is used.
pub(crate) unsafe fn change<'a, T>(pointer: *mut T) -> Option<&'a mut T> {
    // SAFETY: as the caller promises.
    unsafe { pointer.as_mut() }
}

/// A text of the caller's; `None` for NULL, or if it is no UTF-8.
///
/// # Safety
///
/// It is NULL, or leads to bytes with a zero byte at their end, which are not changed for as long as the result is used.
pub(crate) unsafe fn text<'a>(pointer: *const c_char) -> Option<&'a str> {
    if pointer.is_null() {
        return None;
    }
    // SAFETY: it is not NULL, and the rest is as the caller promises.
    unsafe { CStr::from_ptr(pointer) }.to_str().ok()
}

/// Hands an object out.
pub(crate) fn give<T>(object: T) -> *mut T {
    Box::into_raw(Box::new(object))
}

/// Takes an object back and frees it.
///
/// # Safety
///
/// It is NULL, or comes from [`give`] and was not taken back yet.
pub(crate) unsafe fn free<T>(pointer: *mut T) {
    if !pointer.is_null() {
        // SAFETY: it comes from a box, as the caller promises, and nobody has it any more.
        drop(unsafe { Box::from_raw(pointer) });
    }
}

/// Runs what can fail: an error goes where the caller wants it, and `otherwise` is the answer then. So it is with a panic.
///
/// # Safety
///
/// `error` is NULL, or leads to a pointer that can be written.
pub(crate) unsafe fn guard<T>(error: *mut *mut Error, otherwise: T, work: impl FnOnce() -> Result<T, Failure>) -> T {
    // What a panic leaves half done is only freed afterwards.
    let result = catch_unwind(AssertUnwindSafe(work)).unwrap_or(Err(Failure::Panic));
    match result {
        Ok(value) => value,
        Err(failure) => {
            if !error.is_null() {
                // SAFETY: it is not NULL, and the rest is as the caller promises.
                unsafe { ptr::write(error, give(Error::from(failure))) };
            }
            otherwise
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_error_and_goes_no_further() {
        let mut error = ptr::null_mut();
        // SAFETY: it leads to a pointer of ours.
        let answer = unsafe { guard(&raw mut error, -1, || -> Result<i32, Failure> { panic!("of this test") }) };
        // SAFETY: it was given just now.
        let code = unsafe { read(error) }.map(|error| error.code);
        assert_eq!((answer, code), (-1, Some(7)));
        // SAFETY: it was given just now, and nobody has it any more.
        unsafe { free(error) };
        // SAFETY: NULL is allowed.
        assert_eq!(unsafe { guard(ptr::null_mut(), 0, || Err(Failure::NoLog)) }, 0);
    }
}
